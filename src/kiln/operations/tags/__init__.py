"""Tags: one file for each operation."""
