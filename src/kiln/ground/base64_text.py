"""Base64 as it comes from outside: in one line or folded into several, as ``base64`` prints it, and nothing besides."""

from __future__ import annotations

import base64


class NotBase64(ValueError):
    """It is none: other characters are in it, or its padding is missing."""


def read(text: str) -> bytes:
    """What *text* is the Base64 of. Raises NotBase64."""
    try:
        return base64.b64decode("".join(text.split()), validate=True)
    except ValueError as error:
        raise NotBase64(str(error)) from error
