"""The state of the project: as plain data, and as one HTML page for people."""
