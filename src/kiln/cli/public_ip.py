"""``--public-ip``: whether an instance can be reached from outside, by one word instead of a bandwidth."""

from __future__ import annotations

from typing import Annotated

import typer

_MBITS = 100

PublicIp = Annotated[
    bool | None,
    typer.Option(
        "--public-ip/--no-public-ip",
        help="Whether it gets an address to reach it at. It does, but with a template only where that says so.",
    ),
]


def bandwidth(is_public: bool | None) -> dict[str, int]:
    """The parameter that says so; none where nothing was said."""
    return {} if is_public is None else {"InternetMaxBandwidthOut": _MBITS if is_public else 0}
