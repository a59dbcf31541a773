"""``kiln doctor``: what this machine has and lacks for serving."""

from __future__ import annotations

import os
import sys
from dataclasses import asdict
from pathlib import Path
from typing import Annotated

import typer

from kiln.cli import exits, output
from kiln.cli.flags import Data, DatabaseAddress, Shared
from kiln.cli.grammar import Json, example, group
from kiln.service.doctor import examine, lines
from kiln.service.settings import read_settings
from kiln.service.terminal import terminal_room

app = group()

Listen = Annotated[str | None, typer.Option("--listen", help="What is to be served, as of serve.", metavar="HOST:PORT")]
MachinesOf = Annotated[str | None, typer.Option("--machines", help="qemu or none, as of serve.", metavar="VALUE")]
Accel = Annotated[str | None, typer.Option("--accel", help="auto, kvm or tcg, as of serve.", metavar="VALUE")]
Cache = Annotated[Path | None, typer.Option("--cache", help="Where the small guest is kept.", metavar="DIR")]


@app.command("doctor", epilog=example("kiln doctor", "kiln doctor --data /srv/kiln --json"))
def doctor(
    *,
    data: Data = None,
    database: DatabaseAddress = None,
    shared: Shared = None,
    listen: Listen = None,
    machines: MachinesOf = None,
    accel: Accel = None,
    cache: Cache = None,
    as_json: Json = False,
) -> None:
    """Say what this machine lacks for serving, and what to do.

    Each line is `ok`, `warns` (it serves, with less) or `cannot`; of the last the
    exit code is 10. KVM is tried by a guest that boots, for 20 seconds at most. Of a
    deployment of several hosts it looks at PostgreSQL, Ceph and the address at
    which others reach this one. The settings are those of `kiln serve`, also from the environment. Nothing is changed.
    """
    settings = read_settings(
        os.environ,
        data=data,
        database=database,
        shared=shared,
        listen=listen,
        machines=machines,
        accel=accel,
        cache=cache,
    )
    findings = examine(settings)
    if as_json:
        output.show_json([asdict(one) for one in findings])
    else:
        for line in lines(findings, terminal_room(sys.stdout)):
            output.show_line(line)
    if any(one.state == "cannot" for one in findings):
        raise typer.Exit(exits.UNSOUND.number)
