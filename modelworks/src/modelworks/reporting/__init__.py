"""Text, tables, pages and the console: how facts are shown to people."""
