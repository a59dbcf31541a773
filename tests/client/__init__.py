"""Tests of kiln.client."""
