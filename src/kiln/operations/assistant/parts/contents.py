"""The content of a command: how it is given, and the parameters that stand in it."""

from __future__ import annotations

import base64
import json
import re
from collections.abc import Mapping

from kiln.declare.errors import ApiError
from kiln.ground import base64_text, strict_json
from kiln.ground.units import KiB
from kiln.operations.assistant.parts import errors
from kiln.operations.assistant.parts.words import BASE64

MOST_CONTENT = 24 * KiB  #: Of a command, in Base64.
_MOST_PARAMETERS = 20
_MOST_GIVEN = 10
_LONGEST_NAME = 64
#: One way to match what lies between: blanks that two parts could take would be tried in all shares between them, and
#: nobody else is answered while a match goes on.
_PLACE = re.compile(rb"\{\{([^{}]*)\}\}")
_NAME = re.compile(r"[A-Za-z0-9_-]+")
#: What Kiln itself knows, by the lower-case name.
BUILT_IN = (
    "acs::regionid",
    "acs::accountid",
    "acs::instanceid",
    "acs::instancename",
    "acs::invokeid",
    "acs::commandid",
)


def read_content(content: str, encoding: str) -> str:
    """What is kept of a command's content. Raises CmdContentDecodeError, CmdContentExceedLimit."""
    return to_kept(content, encoding, MOST_CONTENT, errors.CmdContentDecodeError, errors.CmdContentExceedLimit)


def to_kept(content: str, encoding: str, most: int, undecodable: type[ApiError], too_long: type[ApiError]) -> str:
    """What is kept of a content that was given in an encoding: its Base64, of *most* characters. Raises these two."""
    if encoding.lower() == BASE64.lower():
        try:
            raw = base64_text.read(content)
        except base64_text.NotBase64:
            raise undecodable from None
    else:
        raw = content.encode(errors="surrogatepass")
    kept = base64.b64encode(raw).decode()
    if len(kept) > most:
        raise too_long
    return kept


def names_in(content: str) -> tuple[str, ...]:
    """The parameters that stand in a content, but for the built-in ones, as they are first spelled.

    Raises CmdParamCountExceedLimit, CmdParamNameExceedLimit, CmdParamInvalidParamName, CmdParamEmptyKey.
    """
    found: dict[str, str] = {}
    for raw in map(bytes.strip, _PLACE.findall(base64.b64decode(content))):
        name = raw.decode(errors="replace")
        if name.lower() in BUILT_IN:
            continue
        if not name:
            raise errors.CmdParamEmptyKey
        if len(raw) > _LONGEST_NAME:
            raise errors.CmdParamNameExceedLimit(name=name)
        if not _NAME.fullmatch(name):
            raise errors.CmdParamInvalidParamName(name=name)
        found.setdefault(name.lower(), name)
    if len(found) > _MOST_PARAMETERS:
        raise errors.CmdParamCountExceedLimit
    return tuple(found.values())


def read_parameters(given: str | None, content: str, *, is_enabled: bool) -> dict[str, str]:
    """What is to stand in a content, by the parameters' names in lower case.

    Raises ParameterDisabled, InvalidParameterParameters, ParameterCountExceedLimit, ParameterKeyExceedLimit,
    ParameterKeyDuplicate, ParameterNotMatched, ParameterMissingValue and CmdContentExceedLimit.
    """
    pairs = _pairs(given)
    if not is_enabled:
        if pairs:
            raise errors.ParameterDisabled
        return {}
    named = {name.lower() for name in names_in(content)}
    values: dict[str, str] = {}
    for key, value in pairs.items():
        if len(key) > _LONGEST_NAME:
            raise errors.ParameterKeyExceedLimit(key=key)
        if key.lower() in values:
            raise errors.ParameterKeyDuplicate(key=key)
        if key.lower() not in named:
            raise errors.ParameterNotMatched(key=key)
        values[key.lower()] = value
    if named - values.keys():
        raise errors.ParameterMissingValue(keys=sorted(named - values.keys()))
    if len(content) + len(base64.b64encode((given or "").encode(errors="surrogatepass"))) > MOST_CONTENT:
        raise errors.CmdContentExceedLimit
    return values


def fill(content: bytes, values: Mapping[str, str]) -> bytes:
    """The content with what stands for its parameters; one that nothing stands for stays as it is."""

    def value_of(place: re.Match[bytes]) -> bytes:
        value = values.get(place[1].strip().decode(errors="replace").lower())
        return place[0] if value is None else value.encode(errors="surrogatepass")

    return _PLACE.sub(value_of, content)


def _pairs(given: str | None) -> dict[str, str]:
    if not given:
        return {}
    try:
        pairs = strict_json.read(given)
    except strict_json.NotJson:
        raise errors.InvalidParameterParameters from None
    if not isinstance(pairs, dict):
        raise errors.InvalidParameterParameters
    if len(pairs) > _MOST_GIVEN:
        raise errors.ParameterCountExceedLimit
    found = {}
    for key, value in pairs.items():
        if not key or isinstance(value, dict | list):
            raise errors.InvalidParameterParameters
        found[key] = _text(value)
    return found


def _text(value: object) -> str:
    if value is None:
        return ""
    return value if isinstance(value, str) else json.dumps(value)
