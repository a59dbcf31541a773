"""The languages that names are told in."""

from __future__ import annotations

from kiln.declare.errors import ApiError


class InvalidAcceptLanguageNotFound(ApiError):
    """A language that names are not told in."""

    code = "InvalidAcceptLanguage.NotFound"
    status = 404
    message = "Only Chinese (zh-CN), English (en-US), and Japanese (ja) are allowed."
