"""A data folder in which a Kiln has run, with nothing in it but the first account."""

from __future__ import annotations

from pathlib import Path

from kiln.service.accounts import ensure_first_account
from kiln.service.assemble import assemble
from kiln.service.claim import hold_data_folder
from kiln.service.settings import read_settings


def a_rested_kiln(data: Path) -> Path:
    """Have *data* be such a folder."""
    settings = read_settings({}, data=data, machines="none")
    with hold_data_folder(data), assemble(settings) as it:
        ensure_first_account(it.database, it.sealer, settings, it.ports.clock())
    return data
