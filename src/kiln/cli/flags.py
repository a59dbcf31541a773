"""The settings of a service as flags: ``--listen`` for ``listen``, with the help that the setting declares."""

from __future__ import annotations

import dataclasses
import inspect
import os
import typing
from collections.abc import Callable, Iterable
from typing import Annotated, Any

import typer

from kiln.cli import exits
from kiln.cli.exits import Refusal
from kiln.declare.rules import Doc
from kiln.service.settings import SettingRefused, Settings, read_settings


def takes_settings(run: Callable[[Settings], None], names: Iterable[str]) -> Callable[..., None]:
    """*run* as a command whose flags are the settings called *names*; they win over the environment."""
    parameters = [_parameter(name) for name in names]

    def command(**flags: Any) -> None:
        try:
            settings = read_settings(os.environ, **flags)
        except SettingRefused as error:
            raise Refusal(str(error), exits.SETTINGS) from error
        run(settings)

    command.__signature__ = inspect.Signature(parameters)  # type: ignore[attr-defined]
    command.__doc__ = run.__doc__
    command.__name__ = run.__name__
    return command


def _parameter(name: str) -> inspect.Parameter:
    hint = typing.get_type_hints(Settings, include_extras=True)[name]
    default = next(field.default for field in dataclasses.fields(Settings) if field.name == name)
    doc = next(note.text for note in hint.__metadata__ if isinstance(note, Doc))
    shown = "" if default in (dataclasses.MISSING, "") else f" Default: {default}."
    option = typer.Option(
        "--" + name.replace("_", "-"), help=f"{doc}{shown} [KILN_{name.upper()}]", metavar=_metavar(hint)
    )
    return inspect.Parameter(
        name, inspect.Parameter.KEYWORD_ONLY, default=None, annotation=Annotated[str | None, option]
    )


def _metavar(hint: Any) -> str:
    return {"Path": "DIR", "int": "N"}.get(hint.__origin__.__name__, "VALUE")
