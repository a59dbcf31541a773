"""Instances: one file for each operation."""
