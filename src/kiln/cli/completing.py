"""What may come next at a shell's Tab: declared values, and the names and IDs that the service has now.

Whoever presses Tab waits, so that only one page is asked for, and no error is said.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from itertools import islice

import typer

from kiln.cli.exits import Refusal
from kiln.cli.naming import NAMED
from kiln.cli.session import open_client
from kiln.client.client import AnswerBroken, ApiFailure
from kiln.client.transport import EndpointRefused, Unreachable

Complete = Callable[..., list[tuple[str, str]]]  #: As typer calls it, by the names of its parameters.

_SHOWN = 100


def of_noun(noun: str) -> Complete:
    """The names and the IDs of a noun that begin with what was typed; each says what the other is."""
    how = NAMED[noun]

    def complete(ctx: typer.Context, incomplete: str) -> list[tuple[str, str]]:
        return _of_service(ctx, how.action, how.more, incomplete, (how.name, how.id) if how.name else (how.id,))

    return complete


def _of_service(
    ctx: typer.Context, action: str, more: Mapping[str, str], incomplete: str, columns: Sequence[str]
) -> list[tuple[str, str]]:
    """What the rows of a list have in *columns*, one column after the other, where it begins with what was typed."""
    try:
        # That of --region, where it stands before what is being typed.
        with open_client(ctx.params.get("region")) as client:
            rows = list(islice(client.rows(action, more), _SHOWN))
    except (Refusal, ApiFailure, AnswerBroken, EndpointRefused, Unreachable):
        return []
    known = []
    for column in columns:
        others = [other for other in columns if other != column]
        known += [(row[column], " ".join(row[other] for other in others)) for row in rows if row[column]]
    return _beginning(known, incomplete)


def of_key_pairs(ctx: typer.Context, incomplete: str) -> list[tuple[str, str]]:
    """The names of key pairs that begin with what was typed; they are called by nothing else."""
    return _of_service(ctx, "DescribeKeyPairs", {}, incomplete, ("KeyPairName",))


def of_choices(choices: Iterable[str]) -> Complete:
    """The declared values that begin with what was typed."""
    known = [(choice, "") for choice in choices]

    def complete(incomplete: str) -> list[tuple[str, str]]:
        return _beginning(known, incomplete)

    return complete


def _beginning(known: Iterable[tuple[str, str]], incomplete: str) -> list[tuple[str, str]]:
    return [(text, about) for text, about in known if text.lower().startswith(incomplete.lower())]
