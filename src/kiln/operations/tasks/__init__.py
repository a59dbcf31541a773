"""Tasks: one file for each operation."""
