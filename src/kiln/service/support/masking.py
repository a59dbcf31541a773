"""Taking secrets out of text: those that are known, wherever they stand, and whatever stands where secrets do."""

from __future__ import annotations

import base64
import binascii
import contextlib
import json
import re
from collections.abc import Iterable
from pathlib import Path
from urllib.parse import quote

from kiln.ground.short_files import NotShort, read_short
from kiln.service.backups.manifest import SECRETS
from kiln.service.errors import SecretBroken
from kiln.service.secrets import Sealer
from kiln.service.settings import Settings, described
from kiln.store import outline
from kiln.store.conninfo import secrets_in
from kiln.store.database import Transaction

MASK = "[masked]"

_SHORTEST = 6  #: A shorter text is in too many others to be told by.
_SHORTEST_NAME = 3
_FIELD = r"[\w.-]*(?:secret|passw|token|signature|authorization|cookie|user_?data|private_?key|credential)[\w.-]*"

_WORDS = re.compile(r"""[^\s"'`=:,;(){}\[\]<>|&]{8,}""")  #: Of a script, what may be a password in it.

#: What secrets stand in, whoever wrote it: a field, a URL, a header, a key in PEM.
_FORMS = (
    (re.compile(rf"""(?i)("{_FIELD}"\s*:\s*)("(?:[^"\\]|\\.)*"|[^\s,{{}}\[\]"]+)"""), rf'\1"{MASK}"'),
    (re.compile(rf"""(?i)(\\"{_FIELD}\\"\s*:\s*)\\".*?\\\""""), rf"\1{MASK}"),
    (re.compile(rf"""(?i)\b({_FIELD}\s*=\s*)("[^"]*"|'[^']*'|[^\s&,;"']+)"""), rf"\1{MASK}"),
    (re.compile(rf"""(?i)\b({_FIELD}\s*:\s*)(?!")(?:bearer\s+|basic\s+|acs\s+)?[^\s,;"']+"""), rf"\1{MASK}"),
    (re.compile(r"(?i)\b(bearer|basic)\s+[\w.+/=~-]{8,}"), rf"\1 {MASK}"),
    (re.compile(r"(\w://[^\s:/@]*):[^\s@]*@"), rf"\1:{MASK}@"),
    (re.compile(r"-----BEGIN [^-]*KEY-----.*?(?:-----END [^-]*KEY-----|\Z)", re.DOTALL), MASK),
)

#: Addresses by which somebody could be found.
_PLACES = (
    (re.compile(r"\b(?!127\.)\d{1,3}(?:\.\d{1,3}){3}\b"), "[address]"),
    (re.compile(r"\b[\w.+-]+@[\w-]+(?:\.[\w-]+)+\b"), "[address]"),
    (re.compile(r"(?i)\b(?:[0-9a-f]{2}:){5}[0-9a-f]{2}\b"), "[address]"),
)


class Mask:
    """Takes secrets out of text, and with names also what people gave to things to tell them by."""

    def __init__(self, secrets: Iterable[str], names: Iterable[str] | None = None) -> None:
        # The longest first: one may be a part of another.
        self._secrets = sorted({one for one in secrets if len(one) >= _SHORTEST}, key=len, reverse=True)
        self._is_anonymous = names is not None
        self._names = sorted({one for one in names or () if len(one) >= _SHORTEST_NAME}, key=len, reverse=True)

    def __call__(self, text: str) -> str:
        for secret in self._secrets:
            text = text.replace(secret, MASK)
        for form, instead in _FORMS:
            text = form.sub(instead, text)
        for name in self._names:
            text = text.replace(name, "[name]")
        for form, instead in _PLACES if self._is_anonymous else ():
            text = form.sub(instead, text)
        return text


def of_settings(settings: Settings) -> set[str]:
    """What is secret among the settings."""
    found = {getattr(settings, one.name) for one in described().values() if one.is_secret}
    found |= secrets_in(settings.database)
    if settings.database_password_file:
        with contextlib.suppress(OSError, NotShort):
            found |= set(read_short(Path(settings.database_password_file)).decode(errors="replace").splitlines())
    return _spelled(found)


def of_files(data: Path) -> set[str]:
    """The keys beside the database, as somebody may have written them."""
    found: set[str] = set()
    for name in SECRETS:
        try:
            raw = read_short(data / name)
        except (OSError, NotShort):
            continue
        if name == "ca.pem":
            continue
        found |= {raw.hex(), base64.b64encode(raw).decode(), raw.decode(errors="replace")}
        found.update(line for line in raw.decode(errors="replace").splitlines() if not line.startswith("-----"))
    return _spelled(found)


def of_rows(tx: Transaction, sealer: Sealer) -> set[str]:
    """What the database has, sealed, opened, and in or out of Base64."""
    found: set[str] = set()
    for text in outline.secrets(tx):
        found.add(text)
        try:
            found.add(sealer.open(text) if text.startswith("v1:") else base64.b64decode(text, validate=True).decode())
        except (SecretBroken, binascii.Error, ValueError):
            continue  # It is sealed with another key, or was no Base64: nobody can have opened it, or it stands there.
    found |= {line.strip() for text in found for line in text.splitlines()}
    found |= {word for text in found for word in _WORDS.findall(text) if any(map(str.isdigit, word))}
    return _spelled(found)


def _spelled(secrets: Iterable[str]) -> set[str]:
    """Each as it is, and as JSON, a URL and Base64 have it."""
    found: set[str] = set()
    for one in secrets:
        raw = one.encode(errors="replace")
        found |= {one, quote(one, safe=""), quote(one), base64.b64encode(raw).decode()}
        found |= {json.dumps(one)[1:-1], json.dumps(one, ensure_ascii=False)[1:-1]}
    return found
