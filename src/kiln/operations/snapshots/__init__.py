"""Snapshots: one file for each operation."""
