"""``kiln demo``: the main job, seen."""

from __future__ import annotations

import os
from enum import StrEnum
from pathlib import Path
from typing import Annotated

import typer

from kiln.cli import exits
from kiln.cli.ending import orderly
from kiln.cli.exits import Refusal
from kiln.cli.grammar import example, group
from kiln.cli.output import say
from kiln.guest.errors import GuestError
from kiln.service.demos import cluster, image, packer
from kiln.service.demos.stage import DemoFailed
from kiln.service.settings import read_settings

app = group()


class Story(StrEnum):
    """What can be watched."""

    IMAGE = "image"
    PACKER = "packer"
    CLUSTER = "cluster"


_DEMOS = {Story.IMAGE: image.demo, Story.PACKER: packer.demo, Story.CLUSTER: cluster.demo}


@app.command(
    "demo",
    epilog=example(
        "kiln demo", "kiln demo --stay", "kiln demo packer", "kiln demo cluster", "kiln demo --keep /tmp/kiln-demo"
    ),
)
def run(
    story: Annotated[
        Story,
        typer.Argument(
            metavar="STORY",
            help="image: the main job. packer: Debian's Packer bakes an image on Kiln. cluster: a host dies.",
        ),
    ] = Story.IMAGE,
    *,
    keep: Annotated[
        Path | None,
        typer.Option(metavar="DIR", help="Work in this folder and leave it there, instead of a temporary one."),
    ] = None,
    stay: Annotated[
        bool, typer.Option("--stay", help="Leave it there for a look, with a link to its console, until Ctrl-C.")
    ] = False,
) -> None:
    """Watch a running machine become an image that another boots.

    A Kiln of its own is started in a temporary folder. A small Debian guest is
    made, imported and booted; it writes a file; the running machine becomes an
    image; a second one boots from it and reads the file; and the first reads it
    again with another system disk. Each step is shown with its time. What the guest
    is made of is kept in the cache folder [KILN_CACHE].

    With packer a larger Debian guest is made, with systemd, sshd and cloud-init, and
    Debian's own Packer bakes an image of it with its builder for Alibaba Cloud, over
    SSH, with the template examples/packer/web.json. That takes some minutes, the
    first time some more.

    With cluster a PostgreSQL and a Ceph of one node are begun, from Debian's packages
    and in private folders, and over them two processes that answer requests and two
    that work, each as a host with machines of its own. The main job goes through both
    doors. Then a host dies while an image is made of its running machine: the
    image is made by the other host, and boots there.
    """
    cache = read_settings(os.environ).cache
    try:
        with orderly(hears_one_interrupt=True):
            _DEMOS[story](say, cache, keep=keep.absolute() if keep else None, stays=stay)
    except (DemoFailed, GuestError) as error:
        raise Refusal(str(error), exits.UNSOUND) from error
