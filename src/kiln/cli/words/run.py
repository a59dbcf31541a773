"""``kiln run``: one command, whose client of the cloud comes to this machine's Kiln."""

from __future__ import annotations

import os
import sys
from functools import partial
from typing import Annotated

import typer

from kiln.cli import exits
from kiln.cli.exits import Refusal
from kiln.cli.flags import Data, DatabaseAddress, Shared
from kiln.cli.grammar import example, group
from kiln.cli.words.env import known, of_files
from kiln.service.clients import CLIENTS, client_of
from kiln.service.environment import environment_of
from kiln.service.settings import read_settings

app = group()

Command = Annotated[list[str], typer.Argument(metavar="CMD...", help="The command and its arguments.")]
As = Annotated[
    str | None,
    typer.Option(
        "--as",
        metavar="CLIENT",
        autocompletion=lambda: list(CLIENTS),
        help=f"Whose settings it gets: {', '.join(CLIENTS)}. Else its name tells, or it gets those of all.",
    ),
]


@app.command(
    "run",
    context_settings={"allow_interspersed_args": False},
    epilog=example("kiln run -- packer build web.json", "kiln run --as python -- ./publish.sh"),
)
def run(
    command: Command, *, client: As = None, data: Data = None, database: DatabaseAddress = None, shared: Shared = None
) -> None:
    """Run a command as a client of this machine's Kiln.

    It gets what `kiln env CLIENT` prints, and takes the place of `kiln`: signals
    reach it, and its exit code is the one that is seen. What it and its children
    ask of names of the cloud comes here, and their proxy leads them nowhere else.
    """
    settings = read_settings(os.environ, data=data, database=database, shared=shared)
    whose = client_of(command[0]) if client is None else known(client)
    variables = of_files(settings, partial(environment_of, whose))
    sys.stdout.flush()
    try:
        os.execvpe(command[0], command, {**os.environ, **variables})  # noqa: S606 - it is what the word is for.
    except FileNotFoundError as error:
        raise Refusal(f"there is no command {command[0]}", exits.NOT_FOUND) from error
    except OSError as error:
        raise Refusal(f"{command[0]}: {error.strerror}", exits.NOT_RUN) from error
