"""Buckets: where images come from and go to. Knows no accounts, no SQL and no HTTP."""
