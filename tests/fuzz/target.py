"""What is fuzzed, and what every answer has to look like."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any
from xml.etree import ElementTree as ET

from kiln.wire.doors.door import Answer, RawRequest
from kiln.wire.gateway import Gateway
from kiln.wire.key import Key
from tests.clouds import ACCOUNT, Clock
from tests.fuzz.requests import APP_KEY, APP_SECRET, KEY_ID, SECRET


class OneAccount:
    """Credentials of the one account there is."""

    def access_key(self, key_id: str) -> Key | None:
        return Key(id=KEY_ID, secret=SECRET, account_id=ACCOUNT) if key_id == KEY_ID else None

    def session(self, token: str) -> Key | None:
        return None

    def app(self, app_key: str) -> Key | None:
        return Key(id=APP_KEY, secret=APP_SECRET, account_id=ACCOUNT) if app_key == APP_KEY else None

    def instance(self, instance_id: str, role: str) -> Key | None:
        return None

    def users(self, account_id: str) -> frozenset[str]:
        return frozenset()


@dataclass(frozen=True)
class Target:
    gateway: Gateway
    clock: Clock
    known: Mapping[str, list[str]]  #: Identifiers that exist, by the ends of parameters' names.

    def answer(self, request: RawRequest) -> tuple[int, dict[str, Any]]:
        """Status and members of the answer to *request*, which is whole and not the fault of the server."""
        answer = self.gateway.answer(request)
        fields = read(answer)
        assert answer.status == 200 or 400 <= answer.status < 500, (answer.status, fields, request)
        assert dict(answer.headers)["x-acs-request-id"] == fields["RequestId"]
        if answer.status != 200:
            assert fields["Code"]
            assert fields["Message"]
        return answer.status, fields


def read(answer: Answer) -> dict[str, Any]:
    """The members at the top of an answer, JSON or XML."""
    if dict(answer.headers)["content-type"].startswith("application/json"):
        return json.loads(answer.body.decode())
    root = ET.fromstring(answer.body.decode())
    return {child.tag: child.text or "" for child in root}
