"""What the words share that work on a data folder, beside the service that may run on it: finding and opening it."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from kiln.cli import exits
from kiln.cli.exits import Refusal
from kiln.service.accounts import AlreadyThere
from kiln.service.claim import is_kilns
from kiln.service.keys import AccountUnknown, KeyKept, KeyUnknown
from kiln.service.records import Records, open_records
from kiln.service.settings import Settings, read_settings


def settings_there(data: Path | None, database: str | None = None, shared: str | None = None) -> Settings:
    """The settings of a Kiln that has run. Raises Refusal where none has."""
    settings = read_settings(os.environ, data=data, database=database, shared=shared, machines="none")
    if not is_kilns(settings.folder):
        message = f"{settings.data} is not the data folder of a Kiln that has run"
        raise Refusal(message, exits.FILE, "--data, or KILN_DATA, names another.")
    return settings


@contextmanager
def beside(data: Path | None, database: str | None = None, shared: str | None = None) -> Iterator[Records]:
    """That Kiln's records: single rows are written, nothing else is touched. Raises Refusal.

    The database's pages alone are looked at; who deletes or puts back wants its indexes compared, too.
    """
    with open_records(settings_there(data, database, shared), is_quick=True) as it:
        try:
            yield it
        except AccountUnknown as error:
            raise Refusal(f"there is no account {error}", exits.REFUSED, "`kiln account list` shows them.") from error
        except KeyUnknown as error:
            raise Refusal(f"there is no key {error}", exits.REFUSED, "`kiln account keys list` shows them.") from error
        except (AlreadyThere, KeyKept) as error:
            raise Refusal(str(error), exits.REFUSED) from error
