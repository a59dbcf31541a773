"""The doors: HTTP requests in, answers out. Knows no operation by name."""
