"""``kiln console``: the pages for a browser, of this machine's Kiln or of one elsewhere."""

from __future__ import annotations

import os
import webbrowser
from typing import Annotated

import typer

from kiln.cli import exits
from kiln.cli.exits import Refusal
from kiln.cli.flags import Data, DatabaseAddress, Shared
from kiln.cli.grammar import Region, example, group
from kiln.cli.output import say
from kiln.cli.session import open_client
from kiln.cli.words.env import of_files
from kiln.console.sessions import Keys
from kiln.service.consoles import NoLink, ask_for_link, serve_console
from kiln.service.environment import environment
from kiln.service.secrets import Sealer
from kiln.service.settings import read_settings

app = group()

Endpoint = Annotated[
    str | None,
    typer.Option(
        "--endpoint",
        metavar="URL",
        help="A Kiln elsewhere: the console is served here, and is its client with the keys of this shell.",
    ),
]
Open = Annotated[
    bool, typer.Option("--open/--no-open", help="Whether to open the link in a browser where there is one.")
]


@app.command(
    "console",
    epilog=example("kiln console", "kiln console --no-open", "kiln console --endpoint https://kiln.example.com"),
)
def run(
    *,
    endpoint: Endpoint = None,
    region: Region = None,
    open_it: Open = True,
    data: Data = None,
    database: DatabaseAddress = None,
    shared: Shared = None,
) -> None:
    """Open the console: pages for a browser.

    They show images, instances and all else, and change them. The link that is
    printed signs in once, within an hour, with the keys of this machine's Kiln.
    For a Kiln elsewhere the console is served here, on a free port of the
    loopback, until Ctrl-C: its keys leave this machine in signatures alone.
    """

    def show(link: str) -> None:
        say(link)
        if open_it and (os.environ.get("DISPLAY") or os.environ.get("WAYLAND_DISPLAY")):
            webbrowser.open(link)

    if endpoint is None:
        settings = read_settings(os.environ, data=data, database=database, shared=shared)
        told = of_files(settings, environment)
        keys = Keys(told["KILN_ACCESS_KEY_ID"], told["KILN_ACCESS_KEY_SECRET"])
        show(_linked(told["KILN_ENDPOINT"], keys, Sealer.in_folder(settings.folder.shared)))
        return
    with open_client(region, endpoint) as client:
        client.call("GetCallerIdentity")  # Whoever has the wrong keys is told so here, and not by a page.
        serve_console(client.endpoint, Keys(*client.keys), client.region, show)


def _linked(endpoint: str, keys: Keys, sealer: Sealer) -> str:
    """A link of the console that is served there. Raises Refusal, Unreachable."""
    try:
        return ask_for_link(endpoint, *keys, sealer)
    except NoLink as error:
        raise Refusal(str(error), exits.REFUSED, "Does `kiln serve` run there?") from None
