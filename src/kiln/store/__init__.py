"""What we know: SQL. Functions that take a transaction and return frozen dataclasses. No HTTP, no engine."""
