"""Kiln shown at work: each story starts a Kiln of its own, and fails when something that it claims does not hold."""
