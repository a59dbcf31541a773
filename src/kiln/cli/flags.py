"""The settings of a service as flags: ``--listen`` for ``listen``, with the help that the setting declares."""

from __future__ import annotations

import inspect
import os
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Annotated, Any

import typer

from kiln.service.settings import Described, Settings, described, read_settings

_METAVARS: dict[type, str] = {Path: "DIR", int: "N"}


def takes_settings(run: Callable[[Settings], None], names: Iterable[str]) -> Callable[..., None]:
    """*run* as a command whose flags are the settings called *names*; they win over the environment."""
    known = described()
    parameters = [_parameter(known[name]) for name in names]

    def command(**flags: Any) -> None:
        run(read_settings(os.environ, **flags))

    command.__signature__ = inspect.Signature(parameters)  # type: ignore[attr-defined]
    command.__doc__ = run.__doc__
    command.__name__ = run.__name__
    return command


def _parameter(setting: Described) -> inspect.Parameter:
    return inspect.Parameter(
        setting.name, inspect.Parameter.KEYWORD_ONLY, default=None, annotation=Annotated[str | None, _option(setting)]
    )


def _option(setting: Described) -> Any:
    shown = f" Default: {setting.default}." if setting.default else ""
    return typer.Option(
        "--" + setting.name.replace("_", "-"),
        help=f"{setting.doc}{shown} [KILN_{setting.name.upper()}]",
        metavar=_METAVARS.get(setting.kind, "VALUE"),
    )


#: For words that take a setting or two beside options of their own.
Data = Annotated[Path | None, _option(described()["data"])]
DatabaseAddress = Annotated[str | None, _option(described()["database"])]
#: Text, since an empty one means none and a path of it would be the working folder.
Shared = Annotated[str | None, _option(described()["shared"])]
Listen = Annotated[str | None, _option(described()["listen"])]
Regions = Annotated[str | None, _option(described()["regions"])]
