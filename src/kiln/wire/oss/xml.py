"""The XML of OSS: written from nested tuples, and read from whoever sends it."""

from __future__ import annotations

from collections.abc import Iterable
from datetime import UTC, datetime
from urllib.parse import quote
from xml.etree import ElementTree as ET

from kiln.wire.doors.door import Answer
from kiln.wire.encode import escape
from kiln.wire.oss.errors import MalformedXML

#: A tag, and its text or what is in it; None is left out.
Element = tuple[str, "str | Iterable[Element] | None"]

_HEAD = '<?xml version="1.0" encoding="UTF-8"?>\n'


def answer(root: str, *inner: Element, text: str = "", headers: tuple[tuple[str, str], ...] = ()) -> Answer:
    """An answer that is one document: a root with *inner*, or with *text*."""
    body = f"{_HEAD}{_spell((root, text or inner))}\n".encode()
    return Answer(200, (("content-type", "application/xml"), *headers), body)


def _spell(element: Element) -> str:
    tag, inner = element
    text = (
        escape(inner) if isinstance(inner, str) else "".join(_spell(one) for one in inner or () if one[1] is not None)
    )
    return f"<{tag}>{text}</{tag}>"


def spell_name(name: str, encoding: str) -> str:
    """A name as the client asked for it: ``url`` is percent-encoded, but for slashes."""
    return quote(name, safe="/~") if encoding else name


def spell_time(when: float) -> str:
    """``2026-11-23T06:07:05.000Z``: OSS knows whole seconds alone, and one of its clients that spelling alone."""
    return datetime.fromtimestamp(int(when), UTC).strftime("%Y-%m-%dT%H:%M:%S.000Z")


def spell_flag(value: bool) -> str:
    """``true`` or ``false``."""
    return "true" if value else "false"


def read(body: bytes, root: str) -> ET.Element:
    """The root element of a document in UTF-8, whatever it says of that; it must be named *root*.

    Raises MalformedXML.
    """
    # Neither a type of document nor an entity is in any that a client sends. With a zero it would be UTF-16, which the
    # parser knows whatever it is told, and in which they are spelled otherwise.
    if b"<!" in body or b"\0" in body:
        raise MalformedXML
    # A name of an encoding that Python has and XML has not would be another error than that of parsing.
    parser = ET.XMLParser(encoding="utf-8")  # noqa: S314 - what could do harm has just been refused.
    try:
        found: ET.Element = ET.fromstring(body, parser)  # noqa: S314 - likewise.
    except (ET.ParseError, ValueError):
        raise MalformedXML from None
    for element in found.iter():
        element.tag = element.tag.rpartition("}")[2]
    if found.tag != root:
        raise MalformedXML
    return found
