"""Tests of what is written about Kiln."""
