"""``--user-data``: what cloud-init is to find in a guest, from a file of the caller's."""

from __future__ import annotations

import base64
from pathlib import Path
from typing import Annotated

import typer

UserData = Annotated[
    Path | None,
    typer.Option(
        "--user-data",
        metavar="FILE",
        exists=True,
        dir_okay=False,
        help="What cloud-init finds in the guest, at the metadata service.",
    ),
]

#: For ``Takes.own``.
OWN = {"UserData": "--user-data, which names a file"}


def read_user_data(file: Path | None) -> dict[str, str]:
    """The parameter that says what is in the file; none without one."""
    return {} if file is None else {"UserData": base64.b64encode(file.read_bytes()).decode()}
