"""Parameters out of a query, a form and a JSON body.

Promises: blank values are kept, ``+`` is a space, every name and value is
proper UTF-8 without NUL, and nothing is ambiguous: a name that comes twice
must come with one value, or the request is refused. (The public service does
not say which of two it takes; whatever a server takes silently, somebody
between client and server can use.) Names that no operation knows are kept.

Every body is read as a form unless it is called JSON, so that no byte of it
escapes the signature. A form wrapped in double quotes, which one official
client sends, is unwrapped.

What comes out is one flat set of names and texts. ``covered`` makes the one
that a signature of parameters covers.
"""

from __future__ import annotations

import re
from typing import Any, NoReturn
from urllib.parse import unquote

from kiln.declare.errors import InvalidParameter
from kiln.ground import strict_json
from kiln.wire.doors.door import RawRequest
from kiln.wire.spellings import members

#: More parameters than any operation takes; bounds the work for a request that nobody has signed.
MOST = 1000

#: More per cent signs than any text has that nobody escaped: each is mended by itself, and a megabyte of them would
#: take half a second from everybody.
_MOST_LONE_MARKS = 1000

#: Lists within objects within lists: deeper than any operation's parameters go.
_DEEPEST = 8

_NOT_UTF8 = "it is not UTF-8"
_wrapped = re.compile(rb'"(.*)"', re.DOTALL).fullmatch
_SPACED = bytes.maketrans(b"+", b" ")
_lone_mark = re.compile(rb"%(?![0-9A-Fa-f]{2})")
#: Of what is malformed: longer values, and names that end as the one looked for, are not gone through.
_LONGEST_GLIMPSED, _MOST_GLIMPSES = 256, 64
TWICE = "it is given twice with different values"


def of_query(request: RawRequest) -> dict[str, str]:
    """Decode the query."""
    return of_pairs(request.query_string)


def of_pairs(raw: bytes) -> dict[str, str]:
    """Decode a query string or a form."""
    if not raw:
        return {}
    if strict_json.has_more_than(MOST - 1, (b"&",), raw):
        refuse("*", f"there are more than {MOST} parameters")
    if b"%00" in raw or b"\0" in raw:
        refuse("*", "it contains a NUL")
    try:
        return _read_pairs(raw)
    except _LoneMark:
        if _lone_mark.subn(b"", raw, _MOST_LONE_MARKS + 1)[1] > _MOST_LONE_MARKS:
            few = f"there are more than {_MOST_LONE_MARKS}"
            refuse("*", f"{few} of % before what is not two hexadecimal digits; write %25")
        return _read_pairs(_lone_mark.sub(b"%25", raw))


class _LoneMark(Exception):
    """There is a % before what is not two hexadecimal digits: nobody escaped it, and it stands for itself."""


def _read_pairs(raw: bytes) -> dict[str, str]:
    found: dict[str, str] = {}
    try:
        # As Latin-1 each byte is a character; most pairs are ASCII without escapes, and read as they are.
        for pair in raw.decode("latin-1").split("&"):
            name, _, value = pair.partition("=")
            if name and pair.isascii() and "%" not in pair and "+" not in pair:
                _put(found, name, value)
            elif name:
                _put(found, _text(name.encode("latin-1")), _text(value.encode("latin-1")))
    except UnicodeDecodeError:
        refuse("*", _NOT_UTF8)
    return found


def _text(raw: bytes) -> str:
    """What a name or a value reads as. Raises UnicodeDecodeError, _LoneMark.

    As ``urllib.parse.unquote``, which takes a third of a second for a megabyte
    of escapes, for anybody who asks: Python's own escapes are read in C.
    """
    if b"+" in raw:
        raw = raw.translate(_SPACED)
    if b"%" in raw:
        try:
            raw = raw.replace(b"\\", b"%5C").replace(b"%", b"\\x").decode("unicode_escape").encode("latin-1")
        except UnicodeDecodeError as error:
            raise _LoneMark from error
    return raw.decode()


def of_form(body: bytes) -> dict[str, str]:
    """Decode a form body, wrapped in double quotes or not."""
    wrapped = _wrapped(body.strip())
    return of_pairs(wrapped[1] if wrapped else body)


def of_json(body: bytes) -> dict[str, str]:
    """Decode a JSON object; numbers keep the spelling they came in, and ``{"A": [{"B": "c"}]}`` is ``A.1.B``."""
    given: dict[str, str] = {}
    for name, value in json_object(body).items():
        _spread(name, value, given, 1)
    return given


def json_object(body: bytes) -> dict[str, Any]:
    """The members of a JSON object as they came, numbers as texts; none of an empty body."""
    if not body.strip():
        return {}
    try:
        top = strict_json.read(body.decode())
    except UnicodeDecodeError:
        refuse("body", _NOT_UTF8)
    except strict_json.NamedTwice:
        refuse("body", "it names one member twice")
    except strict_json.NotJson:
        refuse("body", "it is not a JSON object")
    if not isinstance(top, dict):
        refuse("body", "it is not a JSON object")
    return top


def of_body(request: RawRequest) -> dict[str, str]:
    """Decode the body by its Content-Type."""
    return of_json(request.body) if is_json(request) else of_form(request.body)


def is_json(request: RawRequest) -> bool:
    """Whether the body is called JSON."""
    return content_type(request) == "application/json"


def content_type(request: RawRequest) -> str:
    """What the body is called, without its charset; empty when it is not called anything."""
    return request.fields.get("content-type", "").partition(";")[0].strip().lower()


def union(query: dict[str, str], body: dict[str, str]) -> dict[str, str]:
    """Query and body together; a name in both must have one value."""
    if not body:
        return query
    whole = dict(query)
    for name, value in body.items():
        _put(whole, name, value)
    return whole


def find(request: RawRequest, name: str) -> str | None:
    """One parameter of a request that may be malformed elsewhere; None rather than an error."""
    value = _glimpse(request.query_string, name)
    if value is not None:
        return value
    return _member(request.body, name) if is_json(request) else _glimpse(request.body, name)


def _glimpse(raw: bytes, name: str) -> str | None:
    """The one value of that name in a query or a form, whatever stands beside it and however much."""
    word, at = name.encode() + b"=", -1
    found: set[bytes] = set()
    for _ in range(_MOST_GLIMPSES):
        at = raw.find(word, at + 1)
        if at < 0:
            return unquote(found.pop().decode("latin-1")) if len(found) == 1 else None
        if at == 0 or raw[at - 1 : at] == b"&" or (at == 1 and raw[:1] == b'"'):
            found.add(re.split(rb'[&"]', raw[at + len(word) : at + len(word) + _LONGEST_GLIMPSED], maxsplit=1)[0])
    return None


def _member(body: bytes, name: str) -> str | None:
    """The text of that name in a JSON object, whatever else that holds."""
    try:
        value = json_object(body).get(name)
    except InvalidParameter:
        return None
    return value if isinstance(value, str) else None


def _put(found: dict[str, str], name: str, value: str) -> None:
    if found.setdefault(name, value) != value:
        refuse(name, TWICE)


def refuse(parameter: str, rule: str) -> NoReturn:
    """Raise InvalidParameter."""
    raise InvalidParameter(parameter=parameter, rule=rule)


def _spread(name: str, value: Any, given: dict[str, str], depth: int) -> None:
    """Write *value* under flat names: ``A.1.B``."""
    if depth > _DEEPEST or len(given) >= MOST:
        refuse(name, "it holds too much")
    if isinstance(value, dict | list):
        for word, part in members(value):
            _spread(f"{name}.{word}", part, given, depth + 1)
    elif value is not None or name.rpartition(".")[2].isdecimal():
        text = "" if value is None else value if isinstance(value, str) else str(value).lower()
        check_text(name, text)
        _put(given, name, text)


def check_text(name: str, text: str) -> None:
    """Raise InvalidParameter for a name or a value that no text can be."""
    if "\0" in name or "\0" in text:
        refuse("*", "it contains a NUL")
    if not (name.isascii() and text.isascii()):
        try:
            f"{name}{text}".encode()
        except UnicodeEncodeError:
            refuse("*", _NOT_UTF8)
