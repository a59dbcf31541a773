"""Makes of a typer application the commands that are said, and of those that are not only what lists them.

Typer reads the signature of every function of an application before the first
of its commands can run. That is a third of what ``kiln image list`` takes before
it asks for anything, and it grows with each word. Here a command is made when it
is looked up: when it is said, and when it is listed with others in a help text.
"""

from __future__ import annotations

import copy
from collections.abc import Callable, Iterator, Mapping, MutableMapping
from functools import partial
from typing import Any

import typer
from typer.main import get_command, get_group

Make = Callable[[], Any]


class Later(MutableMapping[str, Any]):
    """Commands by name, each made when it is first looked up; names cost nothing."""

    def __init__(self, makers: Mapping[str, Make]) -> None:
        self._makers = dict(makers)
        self._made: dict[str, Any] = {}

    def __getitem__(self, name: str) -> Any:
        if name not in self._made:
            self._made[name] = self._makers[name]()
        return self._made[name]

    def __setitem__(self, name: str, command: Any) -> None:
        self._makers[name] = lambda: command
        self._made[name] = command

    def __delitem__(self, name: str) -> None:
        del self._makers[name]
        self._made.pop(name, None)

    def __contains__(self, name: object) -> bool:
        return name in self._makers

    def __iter__(self) -> Iterator[str]:
        return iter(self._makers)

    def __len__(self) -> int:
        return len(self._makers)


def command_of(app: typer.Typer) -> Any:
    """What typer makes of an application whose commands have names; those below it are made when looked up."""
    if len(app.registered_commands) == 1 and not app.registered_groups:
        return get_command(app)
    group = get_group(_with(app))
    makers: dict[str, Make] = {
        command.name or "": partial(get_command, _with(app, command)) for command in app.registered_commands
    }
    for below in app.registered_groups:
        makers[below.name or ""] = partial(_group_of, below)
    group.commands = Later(makers)
    return group


def _group_of(below: Any) -> Any:
    group = command_of(below.typer_instance)
    group.name, group.help = below.name, below.help
    return group


def _with(app: typer.Typer, *commands: Any) -> typer.Typer:
    """The application with these commands alone."""
    alone = copy.copy(app)
    alone.registered_commands, alone.registered_groups = list(commands), []
    return alone
