"""The languages that names are told in."""

from __future__ import annotations

from typing import Annotated

from kiln.declare.errors import ApiError
from kiln.declare.regions import LANGUAGES
from kiln.declare.rules import Doc, OneOf


class InvalidAcceptLanguageNotFound(ApiError):
    """A language that names are not told in."""

    code = "InvalidAcceptLanguage.NotFound"
    status = 404
    message = "Only Chinese (zh-CN), English (en-US), and Japanese (ja) are allowed."


AcceptLanguage = Annotated[
    str, OneOf(LANGUAGES, InvalidAcceptLanguageNotFound), Doc("The language that names are told in.")
]
