"""A wish for another protocol, which nobody heeds: the request is read again as if it had none."""

from __future__ import annotations

from collections.abc import Iterable


def without_upgrade(method: bytes, url: bytes, version: bytes, headers: Iterable[tuple[bytes, bytes]]) -> bytes:
    """A head that has just been read, as that of a request that asks for no other protocol."""
    lines = [b"%b %b HTTP/%b" % (method, url, version)]
    for name, value in headers:
        if name == b"connection":
            value = b",".join(one for one in value.split(b",") if one.strip().lower() != b"upgrade")  # noqa: PLW2901
        lines.append(b"%b: %b" % (name, value))
    return b"\r\n".join([*lines, b"", b""])
