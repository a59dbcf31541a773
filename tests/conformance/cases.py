"""The signature cases as values."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from kiln.wire.doors.door import RawRequest
from kiln.wire.key import Key
from tests.wire.raw import raw_request

FOLDER = Path(__file__).parent / "signature"

NAMES = sorted(path.name for path in FOLDER.iterdir() if path.is_dir())


@dataclass(frozen=True)
class Case:
    """One folder, read."""

    request: RawRequest
    key: Key
    canonical: str
    to_sign: str
    signature: str


def a_case(name: str) -> Case:
    head, _, body = _read(name, "request").partition("\n\n")
    line, *headers = head.split("\n")
    method, target, _ = line.split(" ")
    fields = [(field.partition(": ")[0].lower(), field.partition(": ")[2]) for field in headers]
    key_id, secret = _read(name, "key").split(" ")
    return Case(
        request=raw_request(method, target, fields, body.encode()),
        key=Key(id=key_id, secret=secret, account_id="acme"),
        canonical=_read(name, "canonical"),
        to_sign=_read(name, "to-sign"),
        signature=_read(name, "signature"),
    )


def _read(name: str, stage: str) -> str:
    return (FOLDER / name / stage).read_text().removesuffix("\n")
