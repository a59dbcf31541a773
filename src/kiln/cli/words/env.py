"""``kiln env``: what clients need to know, as lines for a shell."""

from __future__ import annotations

import os
from collections.abc import Callable
from functools import partial
from typing import Annotated

import typer

from kiln.cli import exits
from kiln.cli.exits import Refusal
from kiln.cli.flags import Data, DatabaseAddress, Listen, Regions, Shared
from kiln.cli.grammar import example, group
from kiln.cli.output import show_text
from kiln.service.clients import CLIENTS
from kiln.service.environment import environment, environment_of, to_shell
from kiln.service.settings import Settings, read_settings

app = group()

FLAGS = ("data", "listen", "database", "regions")

Client = Annotated[
    str | None,
    typer.Argument(
        metavar="CLIENT",
        help=f"{', '.join(CLIENTS)}: print what it reads beside.",
        autocompletion=lambda: list(CLIENTS),
    ),
]


@app.command(
    "env",
    epilog=example('eval "$(kiln env)"', 'eval "$(kiln env --data ~/kiln)"', 'eval "$(kiln env packer)"'),
)
def run(
    client: Client = None,
    *,
    data: Data = None,
    listen: Listen = None,
    database: DatabaseAddress = None,
    shared: Shared = None,
    regions: Regions = None,
) -> None:
    """Print the settings that clients of this Kiln need, as lines for a shell.

    They name the endpoint, the keys, the region and the data folder, for this
    command line, the official SDKs, the aliyun CLI, Terraform and Packer. A Kiln
    that is just starting is waited for; where none has run, nothing is made. On
    another machine KILN_ENDPOINT has to have an address by which this one is reached
    there; one that begins with 127 leads to that machine itself.

    With CLIENT they also have it come here by itself, although nobody tells it an
    endpoint: Kiln is its proxy, and the certificate that it is to trust is named
    in the variable that it reads. Through that proxy only names of the cloud are
    reached: `kiln run -- CMD` sets all that for one command.
    """
    settings = read_settings(os.environ, data=data, listen=listen, database=database, shared=shared, regions=regions)
    read = environment if client is None else partial(environment_of, known(client))
    show_text(to_shell(of_files(settings, read)))


def known(client: str) -> str:
    """*client*, if it is one. Raises Refusal."""
    if client not in CLIENTS:
        raise Refusal(f"{client} is no client that is known: {', '.join(CLIENTS)}", exits.USAGE)
    return client


def of_files(settings: Settings, read: Callable[[Settings], dict[str, str]]) -> dict[str, str]:
    """What *read* gives. Raises Refusal for a file that the host does not give."""
    try:
        return read(settings)
    except OSError as error:
        raise Refusal(f"{error.filename or settings.data}: {error.strerror}", exits.SETTINGS) from error
