"""Tests of ``kiln.testing``."""
