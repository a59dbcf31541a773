"""Images: one file for each operation."""
