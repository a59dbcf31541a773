"""Regions, zones and instance types: one file for each operation."""
