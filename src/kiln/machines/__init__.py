"""Machines: the running side of instances. Knows no accounts, no SQL and no HTTP."""
