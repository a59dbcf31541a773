"""Engines of a large installation, each in a private folder and on loopback: for a demo, the bench and tests.

They are Debian's own programs, begun by whoever asks and ended with the context.
None of it is how an engine is installed to keep anything.
"""
