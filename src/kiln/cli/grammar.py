"""How the command line is spoken: groups of words, the options that many words share, and how values are written."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any

import typer
from typer.core import TyperCommand, TyperGroup

from kiln.cli.ending import hear_interrupts

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
#: Of what is done by a machine's own socket, and by the API where no folder is given.
SocketData = Annotated[
    Path | None,
    typer.Option(
        "--data",
        help="The data folder of a Kiln on this machine, for a machine's own socket; KILN_DATA does not stand for it.",
        metavar="DIR",
    ),
]

#: In which a shell asks what may come next.
COMPLETE_VARIABLE = "_KILN_COMPLETE"

#: Longer than any image that fits on a disk of this decade takes to import.
DEFAULT_TIMEOUT_S = 3600.0


_REST = {"argument": "Arguments", "option": "Options"}  #: The headings of what has none of its own.


class Said(TyperCommand):
    """A word with its options and arguments, which its usage shows as manuals do: ``kiln wait [OPTIONS] ID...``."""

    def get_short_help_str(self, limit: int = 0) -> str:
        """All of the first paragraph, which a list of words folds; typer cuts it off after some words."""
        del limit
        return " ".join((self.help or "").partition("\n\n")[0].split())

    def invoke(self, ctx: Any) -> Any:
        """As typer's. Until here nothing was begun that had to be taken away."""
        hear_interrupts()
        return super().invoke(ctx)

    def format_options(self, ctx: Any, formatter: Any) -> None:
        """As typer's where no option has a heading; else these options below theirs, before those that have none."""
        parts: dict[str, list[tuple[str, str]]] = {"Arguments": []}
        for one in self.get_params(ctx):
            title = getattr(one, "rich_help_panel", None) or _REST[one.param_type_name]
            record = one.get_help_record(ctx)
            if record is not None:
                parts.setdefault(title, []).append(record)
        rest = parts.pop(_REST["option"], [])
        for title, records in {**parts, "Options" if len(parts) == 1 else "Other options": rest}.items():
            if records:
                with formatter.section(title):
                    formatter.write_dl(records)

    def collect_usage_pieces(self, ctx: Any) -> list[str]:
        """What follows the word in its usage."""
        del ctx
        return ["[OPTIONS]", *(_piece(one) for one in self.params if one.param_type_name == "argument")]


class Bidding(Said):
    """A word that ends in a command for somebody else: what stands behind the command's name is the command's own.

    The word's options stand before that, as those of ssh do; ``--`` may part the two.
    """

    def parse_args(self, ctx: Any, args: list[str]) -> Any:
        """As typer's."""
        return super().parse_args(ctx, self._parted(args))

    def _parted(self, args: list[str]) -> list[str]:
        """*args* with ``--`` before the command, where it is not there."""
        params: list[Any] = self.params
        arguments = [one for one in params if one.param_type_name == "argument"]
        options = (one for one in params if one.param_type_name == "option")
        with_value = {name for one in options if not one.is_flag for name in one.opts}
        missing, n = len(arguments), 0
        while n < len(args) and args[n] != "--":
            missing -= not args[n].startswith("-")
            if missing == 0:
                return [*args[:n], "--", *args[n:]]
            n += 2 if args[n] in with_value else 1
        return args


def _piece(argument: Any) -> str:
    name = (argument.metavar or argument.name).strip("[]").removesuffix("...")
    named = name + ("..." if argument.nargs != 1 else "")
    return named if argument.required else f"[{named}]"


class _Words(typer.Typer):
    """An application whose commands are such words."""

    def command(self, name: str | None = None, **settings: Any) -> Any:
        """As typer's."""
        return super().command(name, **{"cls": Said, **settings})


class Leading(TyperGroup):
    """A word whose first word below it may be left out: ``kiln backup TO`` is ``kiln backup create TO``."""

    def parse_args(self, ctx: Any, args: list[str]) -> Any:
        """As typer's."""
        is_left_out = bool(args) and args[0] not in self.commands and args[0] not in ctx.help_option_names
        return super().parse_args(ctx, [next(iter(self.commands)), *args] if is_left_out else args)


def group(cls: type[TyperGroup] = TyperGroup) -> typer.Typer:
    """A word, or one that has words below it; what it is about stands in ``kiln.cli.main``."""
    return _Words(
        cls=cls,
        no_args_is_help=True,
        add_completion=False,
        rich_markup_mode=None,
        context_settings={"help_option_names": ["-h", "--help"]},
    )


def example(*lines: str) -> str:
    """What stands below a word's options in its help."""
    return "\b\nExample:\n" + "\n".join("  " + line for line in lines)
