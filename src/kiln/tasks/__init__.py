"""Carrying out what is left to do."""
