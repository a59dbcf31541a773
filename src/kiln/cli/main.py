"""``kiln``: finds the word that was said, and turns what goes wrong into a message and an exit code.

A word's module is loaded when the word is said, so that ``kiln --version`` does
not wait for what ``serve`` needs. Adding a word is one line in ``WORDS``, and a
module with a typer application called ``app``.
"""

from __future__ import annotations

import gc
import importlib
import os
import sys
from collections.abc import Iterator, Mapping
from functools import partial
from types import ModuleType
from typing import Annotated, Any

import typer
from typer.core import TyperGroup
from typer.main import get_command

import kiln
from kiln.cli import ending, exits
from kiln.cli.grammar import COMPLETE_VARIABLE, Said
from kiln.cli.later import Later, command_of
from kiln.ground.prose import fold
from kiln.ground.values import dataclass
from kiln.service.terminal import terminal_room


@dataclass(frozen=True)
class Word:
    """A word of the command line: where it is written, and what ``kiln --help`` says of it."""

    module: str
    about: str


WORDS: Mapping[str, Word] = {
    "image": Word("kiln.cli.words.images", "Import, create, show, copy, share and delete images."),
    "instance": Word("kiln.cli.words.instances", "Run, look at, stop and change instances."),
    "launch-template": Word("kiln.cli.words.launch_templates", "Keep under a name what instances are to be run with."),
    "snapshot": Word("kiln.cli.words.snapshots", "Create, list, copy and delete snapshots."),
    "snapshot-group": Word(
        "kiln.cli.words.snapshot_groups", "Capture an instance's disks at one instant; list, delete."
    ),
    "snapshot-policy": Word(
        "kiln.cli.words.snapshot_policies", "Have snapshots taken on time; list and delete policies."
    ),
    "disk": Word("kiln.cli.words.disks", "Create, list, attach, detach, resize and delete disks."),
    "key-pair": Word("kiln.cli.words.key_pairs", "Make, bring in, list, attach and delete key pairs for ssh."),
    "vpc": Word("kiln.cli.words.vpcs", "Create, list, show, change and delete VPCs."),
    "vswitch": Word("kiln.cli.words.vswitches", "Create, list, show, change and delete VSwitches."),
    "eip": Word("kiln.cli.words.eips", "Allocate, list, attach and release elastic IP addresses."),
    "security-group": Word(
        "kiln.cli.words.security_groups", "Make, list, open, close, join and delete security groups."
    ),
    "resource-group": Word("kiln.cli.words.resource_groups", "Make, list, fill and delete resource groups."),
    "guest": Word("kiln.cli.words.guests", "Make guests to start from, and bring them in as images."),
    "task": Word("kiln.cli.words.tasks", "List and cancel imports and exports."),
    "tag": Word("kiln.cli.words.tags", "Put tags on resources, take them off, and list them."),
    "region": Word("kiln.cli.words.regions", "List regions, their zones, and the types of instances."),
    "status": Word("kiln.cli.words.status", "Show what runs, waits or has failed, and what takes space."),
    "wait": Word("kiln.cli.words.wait", "Wait until something is in a state, or gone."),
    "audit": Word("kiln.cli.words.audit", "Show who changed what, and follow it."),
    "events": Word("kiln.cli.words.events", "Follow what changes in the account, while it happens."),
    "webhook": Word("kiln.cli.words.webhooks", "Have URLs be told of what changes; list, test, delete."),
    "call": Word("kiln.cli.words.call", "Call any action of the API, and print its answer as JSON."),
    "serve": Word("kiln.cli.words.serve", "Serve the API on this machine."),
    "console": Word("kiln.cli.words.console", "Open the console: pages for a browser."),
    "demo": Word("kiln.cli.words.demo", "Watch a running machine become an image that another boots."),
    "doctor": Word("kiln.cli.words.doctor", "Say what this machine lacks for serving, and what to do."),
    "fsck": Word("kiln.cli.words.fsck", "Compare the pool with the database, the server stopped."),
    "db": Word("kiln.cli.words.db", "Make, upgrade, check and copy the database."),
    "backup": Word("kiln.cli.words.backup", "Keep copies of all that there is, while it runs, and check them."),
    "restore": Word("kiln.cli.words.restore", "Make a data folder out of a backup, and examine it."),
    "support": Word("kiln.cli.words.support", "Collect what a report of a fault needs, without secrets."),
    "trash": Word("kiln.cli.words.trash", "List, restore and give up what was deleted."),
    "host": Word("kiln.cli.words.hosts", "List the hosts that have machines, empty one, and give one up."),
    "account": Word("kiln.cli.words.account", "Add and list accounts, keys, users and resource groups."),
    "bucket": Word("kiln.cli.words.buckets", "Make, list, give and share buckets."),
    "env": Word("kiln.cli.words.env", "Print the settings that clients of this Kiln need."),
    "run": Word("kiln.cli.words.run", "Run a command as a client of this machine's Kiln."),
    "ca": Word("kiln.cli.words.ca", "Print where the certificate is that clients have to trust."),
    "completion": Word("kiln.cli.words.completion", "Print what has a shell complete words, options and names."),
}


class Words(TyperGroup):
    """The words, each loaded when it is said."""

    def __init__(self, **settings: Any) -> None:
        super().__init__(**{**settings, "commands": Later({name: partial(_stand_in, name) for name in WORDS})})

    def parse_args(self, ctx: Any, args: list[str]) -> Any:
        """``help WORD`` is ``WORD --help``, as a checkout's own ``kiln`` has it."""
        return super().parse_args(ctx, [*args[1:], "--help"] if args[:1] == ["help"] else args)

    def resolve_command(self, ctx: Any, args: list[str]) -> Any:
        name, _, rest = super().resolve_command(ctx, args)
        return name, load(name or ""), rest

    def invoke(self, ctx: Any) -> Any:
        try:
            return super().invoke(ctx)
        except typer.TyperException as error:
            # Typer shows it as it is, and a terminal would break it in the middle of a word.
            # What a word with words below it says when it is alone is its help, whose lines stay lines.
            lines, room = ("Error: " + error.format_message()).splitlines(), terminal_room(sys.stderr)
            told = "\n".join(folded for line in lines for folded in fold(line, room))
            vars(error)["format_message"] = lambda: told.removeprefix("Error: ")
            raise
        except Exception as error:
            # What explains errors knows all of their kinds, and so is as slow to load as the words that raise them.
            code = importlib.import_module("kiln.cli.refusals").explain(error)
            if code is None:
                raise
            raise typer.Exit(code.number) from error


def load(word: str) -> Any:
    """The command behind a word; one with words below it has nothing else to say of itself than ``about``."""
    command = command_of(_imported(WORDS[word].module).app)
    command.help = command.help or WORDS[word].about
    return command


def _imported(module: str) -> ModuleType:
    """The module, whose objects stay for as long as the program runs.

    To look for garbage among them while they are made takes a sixth of the time
    to load a service, and later as long as fifty requests each time.
    """
    was_enabled = gc.isenabled()
    gc.disable()
    try:
        return importlib.import_module(module)
    finally:
        gc.freeze()
        if was_enabled:
            gc.enable()


def every_command() -> Iterator[tuple[str, Any]]:
    """All that can be said, with the words that lead to it: ``account keys list``."""
    for word in WORDS:
        yield from _below(word, load(word))


def _below(said: str, command: Any) -> Iterator[tuple[str, Any]]:
    inner = getattr(command, "commands", None)
    if inner is None:
        yield said, command
        return
    for name, one in inner.items():
        yield from _below(f"{said} {name}", one)


def _stand_in(word: str) -> Any:
    """What is listed for a word that was not said."""
    return Said(word, help=WORDS[word].about, rich_markup_mode=None)


app = typer.Typer(
    cls=Words,
    no_args_is_help=True,
    add_completion=False,
    rich_markup_mode=None,
    pretty_exceptions_enable=False,
    context_settings={"help_option_names": ["-h", "--help"]},
)


def _print_version(is_asked: bool) -> None:
    if is_asked:
        typer.echo(f"kiln {kiln.__version__}")
        raise typer.Exit


Version = Annotated[bool, typer.Option("--version", callback=_print_version, is_eager=True, help="Print the version.")]


@app.callback()
def _top(*, version: Version = False) -> None:
    """Kiln, a machine-image service that speaks the Alibaba Cloud ECS and Apsara Stack APIs on real disks.

    Where the service runs, `eval "$(kiln env)"` gives the other words what they need.
    """


def main() -> None:
    """Run the command line of this process, and end it with one of the codes of ``kiln.cli.exits``."""
    if COMPLETE_VARIABLE in os.environ:
        # Of typer, which alone knows how the shells ask; nobody else has to wait for it.
        importlib.import_module("typer.completion").completion_init()
    sys.exit(ending.run(lambda: get_command(app).main(sys.argv[1:], prog_name="kiln"), _tell_lost))


def _tell_lost(error: exits.OutputLost) -> int:
    code: exits.Exit = importlib.import_module("kiln.cli.refusals").explain_lost(error)
    return code.number


if __name__ == "__main__":
    main()
