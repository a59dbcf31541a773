"""Where the things of a Kiln are; docs/internals/bytes-on-disk.md says what they are.

Each process that serves has a data folder of its own. What all processes of a
deployment see lies there too while there is one, or in a folder that they share.
"""

from __future__ import annotations

from pathlib import Path

from kiln.ground.values import dataclass
from kiln.machines.runfiles import RunFiles

#: The folder to which ``kiln restore`` fetches everything first; in a shared folder more follows in its name.
RESTORING = ".tmp-restore"
#: What an operator puts aside before a restore, within a folder that may be a mount: beside it is another file system.
REPLACED = "replaced"


@dataclass(frozen=True)
class DataFolder:
    """The data folder of one Kiln, and the shared folder if there is one; nothing of it need exist."""

    path: Path
    elsewhere: Path | None = None  #: The folder that the deployment shares; None: the data folder.

    @property
    def shared(self) -> Path:
        """What all processes of the deployment see: pool, buckets, and the keys of ``secrets`` and ``volume_keys``."""
        return self.path if self.elsewhere is None else self.elsewhere

    @property
    def database(self) -> Path:
        """The file of SQLite."""
        return self.path / "kiln.sqlite"

    @property
    def ballast(self) -> Path:
        """Room that is kept for deleting."""
        return self.path / "ballast"

    @property
    def lock(self) -> Path:
        """Held by the service."""
        return self.path / "lock"

    @property
    def nonces(self) -> Path:
        """The nonces of the last half hour."""
        return self.path / "nonces"

    @property
    def verdict(self) -> Path:
        """What the last fsck found."""
        return self.path / "fsck.json"

    @property
    def endpoint(self) -> Path:
        """Holds the address that the service said it listens on."""
        return self.path / "endpoint"

    @property
    def ca(self) -> Path:
        """The certificate of Kiln's own authority for TLS."""
        return self.shared / "ca.pem"

    @property
    def ca_key(self) -> Path:
        """The authority's key."""
        return self.shared / "ca.key"

    @property
    def pool(self) -> Path:
        """The volumes."""
        return self.shared / "pool"

    @property
    def buckets(self) -> Path:
        """A folder for each bucket."""
        return self.shared / "buckets"

    @property
    def run(self) -> Path:
        """A folder for each machine."""
        return self.path / "run"

    @property
    def networks(self) -> Path:
        """A folder for each VPC that this host carries."""
        return self.path / "networks"

    def console(self, instance: str) -> Path:
        """The socket of an instance's serial port, which takes one connection at a time."""
        return RunFiles(self.run / instance).console
