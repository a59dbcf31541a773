"""Why a Kiln cannot be opened, in sentences for its operator. Imports nothing that is slow to load."""

from __future__ import annotations


class SettingRefused(ValueError):
    """A setting has a value that it cannot have; the message names both."""


class NotListening(OSError):
    """The host does not let us listen at *address*."""

    def __init__(self, address: str, error: OSError) -> None:
        super().__init__(error.errno, error.strerror)
        self.address = address


class DataFolderBusy(Exception):
    """Another Kiln works in the data folder."""


class PoolHeld(DataFolderBusy):
    """A Kiln with another database works with the pool."""


class DeploymentRefused(Exception):
    """Database and pool do not belong together as they are; the message says what was found and the ways out."""


class DataFolderRefused(Exception):
    """The folder is not a Kiln's, and cannot become one; nothing in it was touched. The message says why."""


class SharedFolderRefused(Exception):
    """What --shared names cannot be shared: it is not there, or its locks hold nobody off; the message says which."""


class SecretBroken(Exception):
    """A sealed secret was changed, or sealed with another master key, or the key is none; the message says which."""


class AuthorityBroken(Exception):
    """The key or the certificate of Kiln's own authority for TLS cannot be used; the message says which."""


class CertificateAbsent(Exception):
    """No Kiln has made a certificate for TLS in the data folder."""


class KeyAbsent(Exception):
    """No key of the first account is active; the message names the account."""


class DatabaseHeld(Exception):
    """Another Kiln works with the database."""


class DatabaseUnusable(Exception):
    """The database is damaged, out of reach, on a disk without any room, or of a newer Kiln; the message says which."""


class DatabaseAbsent(DatabaseUnusable):
    """No Kiln has made the database yet."""


class DatabaseOlder(DatabaseUnusable):
    """The database's tables are of an older Kiln, and only a service changes that; the message has the versions."""


class DatabaseNewer(DatabaseUnusable):
    """The database's tables are of a newer Kiln, which this one does not understand; the message has the version."""


class DatabaseDamaged(DatabaseUnusable):
    """The database's file is damaged, or an index of it disagrees with its table; the message says what was found."""


class PoolUnusable(Exception):
    """The pool's folder cannot be read, or nothing can be made in it; the message says which file and why."""


class CephUnusable(PoolUnusable):
    """There is no way to the pool on Ceph, or Ceph does not do what it is asked there; the message says which."""
