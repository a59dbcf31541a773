"""Why a backup cannot be made, read or put back, in sentences for an operator."""

from __future__ import annotations


class BackupRefused(Exception):
    """It cannot be made or put back like this; nothing was changed. *hint* says what to do, where that is known."""

    def __init__(self, message: str, hint: str = "") -> None:
        super().__init__(message)
        self.hint = hint


class BackupBroken(Exception):
    """What is called a backup is none, or is not what was written: the message names the file and the fault."""


class NoBackup(BackupRefused):
    """Where one is looked for there is none: a wrong name, most likely, and nothing that is broken."""

    def __init__(self, message: str) -> None:
        super().__init__(message, "Name a backup, or the folder TO in which `kiln backup create TO` puts them.")


class NotKept(BackupRefused):
    """Something changed, or is written, faster than it can be kept, or by somebody who cannot be asked."""
