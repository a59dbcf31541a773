"""Disks: one file for each operation."""
