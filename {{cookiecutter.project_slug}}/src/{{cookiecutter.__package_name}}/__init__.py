"""The pipeline: `stages` is the table of contents, `cli` and the DAGs are its two callers."""
