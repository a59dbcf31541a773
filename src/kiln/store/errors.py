"""Why the database does not do what it is asked."""

from __future__ import annotations


class DatabaseFull(Exception):
    """The disk that the database lies on has no room; the transaction was rolled back."""


class DatabaseDown(Exception):
    """The database cannot be opened, reached or read; the message has the driver's reason."""


class DatabaseMalformed(Exception):
    """A part of the database contradicts another, or makes no sense: a write was lost, or a file of it was exchanged.

    The message says what was found. Whoever finds it first stops every write of the process.
    """


class DatabaseBusy(Exception):
    """Another process has kept the SQLite file from us for as long as anybody waits; nothing was written."""
