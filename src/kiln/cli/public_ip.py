"""``--public-ip``: whether an instance can be reached from outside, by one word instead of a bandwidth."""

from __future__ import annotations

from typing import Annotated

import typer

_MBITS = 100
_WORDS = "--public-ip/--no-public-ip"

PublicIp = Annotated[
    bool | None,
    typer.Option(
        _WORDS, help="Whether it gets an address to reach it at. It does, but with a template only where that says so."
    ),
]
PublicIpOfTemplate = Annotated[
    bool | None,
    typer.Option(
        _WORDS,
        help="Whether instances of it get an address to reach them at. None do, unless this or the call says so.",
    ),
]


def bandwidth(is_public: bool | None) -> dict[str, int]:
    """The parameter that says so; none where nothing was said."""
    return {} if is_public is None else {"InternetMaxBandwidthOut": _MBITS if is_public else 0}
