"""Where the bytes are: volumes in pools. Knows no accounts, no SQL and no HTTP."""
