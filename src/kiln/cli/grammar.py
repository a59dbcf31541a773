"""How the command line is spoken: groups of words, the options that many words share, and how values are written."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path
from typing import Annotated, Any

import typer

Json = Annotated[bool, typer.Option("--json", help="Print the answer as JSON; of a listing, an array of all of it.")]
Region = Annotated[
    str | None, typer.Option("--region", help="The region; KILN_REGION when not given.", metavar="REGION")
]
Wait = Annotated[bool, typer.Option("--wait/--no-wait", help="Whether to return only when the work is finished.")]
Timeout = Annotated[float, typer.Option("--timeout", help="The most seconds to wait.", metavar="SECONDS")]
DryRun = Annotated[bool, typer.Option("--dry-run", help="Check only; nothing is changed.")]
Force = Annotated[bool, typer.Option("--force", help="Also when it is in use.")]
Tags = Annotated[list[str] | None, typer.Option("--tag", help="A tag to put on; may be repeated.", metavar="KEY=VALUE")]
#: Of words that ask a service, and so take no folder for granted; those that are the service have ``kiln.cli.flags``.
Data = Annotated[
    Path | None,
    typer.Option("--data", help="The data folder of a Kiln on this machine; KILN_DATA when not given.", metavar="DIR"),
]

#: Longer than any image that fits on a disk of this decade takes to import.
DEFAULT_TIMEOUT_S = 3600.0


def group() -> typer.Typer:
    """A word, or one that has words below it; what it is about stands in ``kiln.cli.main``."""
    return typer.Typer(
        no_args_is_help=True,
        add_completion=False,
        rich_markup_mode=None,
        context_settings={"help_option_names": ["-h", "--help"]},
    )


def example(*lines: str) -> str:
    """What stands below a word's options in its help."""
    return "\b\nExample:\n" + "\n".join("  " + line for line in lines)


def to_tags(given: Iterable[str] | None) -> list[dict[str, str]]:
    """``KEY=VALUE`` texts as the API's Tag parameter; without ``=`` the value is empty."""
    pairs = (text.partition("=") for text in given or ())
    return [{"Key": key, "Value": value} for key, _, value in pairs]


def to_parts(text: str, names: dict[str, str]) -> dict[str, Any]:
    """``size=40,type=system`` under the API's names. Raises typer.BadParameter for a name that is not in *names*."""
    parts: dict[str, Any] = {}
    for pair in text.split(","):
        name, equals, value = pair.partition("=")
        if not equals or name not in names:
            known = ", ".join(names)
            raise typer.BadParameter(f"{pair!r} is not NAME=VALUE with one of the names {known}")
        parts[names[name]] = value
    return parts


def without_empty(params: dict[str, Any]) -> dict[str, Any]:
    """Without what was not given: None, False, and empty lists and texts."""
    return {name: value for name, value in params.items() if value not in (None, False, [], "")}
