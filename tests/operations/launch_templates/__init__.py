"""Tests of the operations on launch templates."""
