"""Tests of kiln.cli."""
