"""``kiln serve``: the service itself."""

from __future__ import annotations

import errno
import sys
from itertools import zip_longest
from typing import Any

from kiln.cli import exits
from kiln.cli.exits import Refusal
from kiln.cli.flags import takes_settings
from kiln.cli.grammar import Said, example, group
from kiln.cli.output import say
from kiln.cli.refusals import advice_of_host
from kiln.service.errors import NotListening
from kiln.service.serve import serve
from kiln.service.settings import DEFAULT_TLS, Settings
from kiln.service.terminal import terminal_room

app = group()

FLAGS = (
    "data",
    "shared",
    "listen",
    "tls",
    "machines",
    "database",
    "database_password_file",
    "pool",
    "ceph_conf",
    "ceph_user",
    "role",
    "host",
    "host_grace",
    "regions",
    "accel",
    "guest_network",
    "way_out",
    "way_out_for",
    "guest_cpus",
    "guest_memory",
    "webhooks_to",
    "cache",
    "threads",
    "workers",
    "log",
    "log_format",
    "metrics",
    "resource_groups",
)

_RESERVED = "Ports below 1024 are root's: --listen names another, and 127.0.0.1:0 takes a free one."


def run(settings: Settings) -> None:
    """Serve the API on this machine until Ctrl-C or SIGTERM.

    At the first start an account and its keys are made, and shown. Each setting
    is also read from the environment, under the name in brackets.
    """
    try:
        serve(settings, say, terminal_room(sys.stdout))
    except OSError as error:
        is_port = error.errno == errno.EACCES and error.filename is None
        hint = _RESERVED if is_port else advice_of_host(error)
        where = error.address if isinstance(error, NotListening) else error.filename or settings.listen
        raise Refusal(f"{where}: {error.strerror}", exits.SETTINGS, hint) from error


class _Serve(Said):
    """The word, of whose ``--tls`` the address may be left out."""

    def parse_args(self, ctx: Any, args: list[str]) -> Any:
        told = []
        for word, after in zip_longest(args, args[1:], fillvalue="-"):
            told += [word, DEFAULT_TLS] if word == "--tls" and after.startswith("-") else [word]
        return super().parse_args(ctx, told)


app.command("serve", cls=_Serve, epilog=example("kiln serve --data ~/kiln --listen 127.0.0.1:8787"))(
    takes_settings(run, FLAGS)
)
