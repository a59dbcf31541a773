"""Answers as JSON and as XML.

A result is what operations hand over: wire names, texts, numbers, booleans,
and lists in the service's wrapping ``{"Images": {"Image": [...]}}``, which XML
spells ``<Images><Image>..</Image><Image>..</Image></Images>``.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from json import JSONEncoder
from typing import Any

from kiln.declare.shapes import JsonObject

try:
    from orjson import dumps as _quickly
except ImportError:  # No wheel of it fits this Python.
    _quickly: Callable[[Any], bytes] | None = None  # type: ignore[no-redef]

#: Characters that XML 1.0 has no spelling for, not even escaped; and those that need one.
_NOT_XML = "\x00-\x08\x0b\x0c\x0e-\x1f\ud800-\udfff\ufffe\uffff"
_each_to_escape = re.compile(f"[&<>\r{_NOT_XML}]")
_to_escape = _each_to_escape.search
_ESCAPES = {"&": "&amp;", "<": "&lt;", ">": "&gt;", "\r": "&#13;"}

_name = re.compile(r"[A-Za-z_][A-Za-z0-9._-]*").fullmatch

_json = JSONEncoder(ensure_ascii=False, separators=(",", ":")).encode

_HEAD = '<?xml version="1.0" encoding="UTF-8"?>'


def to_json(result: Mapping[str, Any]) -> bytes:
    """Compact UTF-8 JSON. A lone surrogate, which has no UTF-8, becomes ``?``."""
    if _quickly is not None:
        try:
            return _quickly(result)
        except TypeError:
            pass  # It holds a lone surrogate, or a number of more than 64 bits.
    return _json(result).encode("utf-8", "replace")


def to_xml(root: str, result: Mapping[str, Any]) -> bytes:
    """An XML document. Characters that XML cannot hold become U+FFFD, so that their loss shows."""
    opening, closing, _ = _tags[root]
    parts = [_HEAD, opening]
    _write(result, parts)
    parts.append(closing)
    return "".join(parts).encode()


def escape(text: str) -> str:
    """*text* as it stands in XML; what XML cannot hold becomes U+FFFD."""
    return _each_to_escape.sub(_escaped, text) if _to_escape(text) else text


def _escaped(match: re.Match[str]) -> str:
    return _ESCAPES.get(match[0], "\ufffd")


class _Tags(dict[str, tuple[str, str, str]]):
    """Opening, closing and empty tags by name. Names are declared, so there are only so many."""

    def __missing__(self, name: str) -> tuple[str, str, str]:
        if not _name(name):
            raise ValueError(f"{name!r} cannot name an element")
        self[name] = tags = (f"<{name}>", f"</{name}>", f"<{name}/>")
        return tags


_tags = _Tags()


def _write(fields: Mapping[str, Any], parts: list[str]) -> None:
    # A page of 100 images is some 4,000 elements: texts, the most frequent, are asked for first.
    put, tags, to_escape = parts.append, _tags, _to_escape
    for name, value in fields.items():
        opening, closing, empty = tags[name]
        if isinstance(value, str):
            put(f"{opening}{_each_to_escape.sub(_escaped, value) if to_escape(value) else value}{closing}")
        elif isinstance(value, JsonObject):
            put(f"{opening}{escape(to_json(value).decode())}{closing}")
        elif isinstance(value, dict):
            put(opening)
            _write(value, parts)
            put(closing)
        elif isinstance(value, (list, tuple)):
            for one in value:
                _write({name: one}, parts)
        elif value is None:
            put(empty)
        elif isinstance(value, bool):
            put(f"{opening}{'true' if value else 'false'}{closing}")
        else:
            put(f"{opening}{value}{closing}")
