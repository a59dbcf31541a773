"""How the command line is spoken: groups of words, the options that many words share, and how values are written."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any

import typer
from typer.core import TyperCommand

Json = Annotated[bool, typer.Option("--json", help="Print the answer as JSON.")]
JsonOfAll = Annotated[bool, typer.Option("--json", help="Print all that there is as one JSON array.")]
Quiet = Annotated[bool, typer.Option("--quiet", "-q", help="Print the IDs alone, one a line.")]
Columns = Annotated[
    str | None,
    typer.Option(
        "--columns",
        help="Which columns to print, with commas between them: of those that there are, or fields of --json.",
        metavar="NAMES",
    ),
]
Region = Annotated[
    str | None, typer.Option("--region", help="The region; KILN_REGION when not given.", metavar="REGION")
]
Wait = Annotated[bool, typer.Option("--wait/--no-wait", help="Whether to return only when the work is finished.")]
Timeout = Annotated[float, typer.Option("--timeout", help="The most seconds to wait.", metavar="SECONDS")]
#: Of words that ask a service, and so take no folder for granted; those that are the service have ``kiln.cli.flags``.
Data = Annotated[
    Path | None,
    typer.Option("--data", help="The data folder of a Kiln on this machine; KILN_DATA when not given.", metavar="DIR"),
]

#: In which a shell asks what may come next.
COMPLETE_VARIABLE = "_KILN_COMPLETE"

#: Longer than any image that fits on a disk of this decade takes to import.
DEFAULT_TIMEOUT_S = 3600.0


class Said(TyperCommand):
    """A word with its options and arguments, which its usage shows as manuals do: ``kiln wait [OPTIONS] ID...``."""

    def get_short_help_str(self, limit: int = 0) -> str:
        """All of the first paragraph, which a list of words folds; typer cuts it off after some words."""
        del limit
        return " ".join((self.help or "").partition("\n\n")[0].split())

    def collect_usage_pieces(self, ctx: Any) -> list[str]:
        """What follows the word in its usage."""
        del ctx
        return ["[OPTIONS]", *(_piece(one) for one in self.params if one.param_type_name == "argument")]


def _piece(argument: Any) -> str:
    name = (argument.metavar or argument.name).strip("[]").removesuffix("...")
    named = name + ("..." if argument.nargs != 1 else "")
    return named if argument.required else f"[{named}]"


class _Words(typer.Typer):
    """An application whose commands are such words."""

    def command(self, name: str | None = None, **settings: Any) -> Any:
        """As typer's."""
        return super().command(name, **{"cls": Said, **settings})


def group() -> typer.Typer:
    """A word, or one that has words below it; what it is about stands in ``kiln.cli.main``."""
    return _Words(
        no_args_is_help=True,
        add_completion=False,
        rich_markup_mode=None,
        context_settings={"help_option_names": ["-h", "--help"]},
    )


def example(*lines: str) -> str:
    """What stands below a word's options in its help."""
    return "\b\nExample:\n" + "\n".join("  " + line for line in lines)
