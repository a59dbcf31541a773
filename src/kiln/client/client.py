"""Calls actions: signs them, tries again where that is safe, and raises the service's errors as ApiFailure.

A request is tried again when the service could not be reached, was overloaded
or failed (5xx), and then only if doing it twice can do no harm: reads, and
actions that carry a ClientToken, which is made up for every action that takes
one. A request that certainly was never sent is tried again in any case.
"""

from __future__ import annotations

import hashlib
import hmac
import importlib
import json
import socket
import time
import uuid
from collections.abc import Callable, Iterator, Mapping
from typing import Any

from kiln.client import catalogue, signature
from kiln.client.catalogue import Action, Catalogue
from kiln.client.feed import Feed
from kiln.client.news import News
from kiln.client.parameters import ParameterRefused, flatten
from kiln.client.transport import HttpReply, Transport, Unreachable
from kiln.ground.clock import Clock, system_clock, to_seconds_text

TRIES = 4
_EVENTS, _CLOUD_EVENTS = "/events", "application/cloudevents+json"
FIRST_PAUSE_S = 0.1
SERVER_ERROR = 500
CLIENT_ERROR = 400


class ApiFailure(Exception):
    """The service answered with an error. ``hint`` is the catalogue's advice or empty, ``asked`` what was sent."""

    def __init__(
        self,
        *,
        action: str,
        code: str,
        message: str,
        status: int,
        request_id: str,
        hint: str = "",
        asked: Mapping[str, str] | None = None,
    ) -> None:
        super().__init__(f"{code}: {message}")
        self.action = action
        self.code = code
        self.message = message
        self.status = status
        self.request_id = request_id
        self.hint = hint
        self.asked: Mapping[str, str] = asked or {}

    @property
    def may_pass(self) -> bool:
        """Whether the same request may succeed later."""
        return self.status >= SERVER_ERROR or self.code.startswith("Throttling")


class AnswerBroken(Exception):
    """What answered is not the service: the answer is no JSON object."""


class Client:
    """One account at one endpoint, from any number of threads. Raises EndpointRefused."""

    def __init__(
        self,
        endpoint: str,
        key_id: str,
        key_secret: str,
        region: str = "",
        *,
        timeout_s: float = 60.0,
        clock: Clock = system_clock,
        beside: Callable[[], Mapping[str, str]] = dict,
    ) -> None:
        self.region = region  #: Fills RegionId where an action takes one and none is given.
        self.catalogue: Catalogue = catalogue.load()
        self._transport = Transport(endpoint, timeout_s)
        self._key_id = key_id
        self._key_secret = key_secret
        self._clock = clock
        self._beside = beside  # Headers that are not signed, of each call anew.

    @property
    def endpoint(self) -> str:
        """Where requests go, as a URL."""
        return self._transport.endpoint

    @property
    def keys(self) -> tuple[str, str]:
        """The AccessKey ID and its secret, for another client of the same account."""
        return self._key_id, self._key_secret

    @property
    def pseudonym(self) -> str:
        """Names whoever calls, the same each time, and cannot be guessed without the secret. 16 letters and digits."""
        return hmac.new(self._key_secret.encode(), self._key_id.encode(), hashlib.sha256).hexdigest()[:16]

    @property
    def objects(self) -> Any:
        """What lies in the service's buckets: a ``kiln.client.objects.Objects``.

        Only who asks for it waits for what it brings, which is the standard library's reader of XML.
        """
        module = importlib.import_module("kiln.client.objects")
        return module.Objects(self._transport, self._key_id, self._key_secret, self.region, self._clock)

    def call(self, action: str, params: Mapping[str, Any] | None = None, /, **more: Any) -> dict[str, Any]:
        """The answer of an action. *params* is for names that are no Python names, such as ``Tag.1.Key``.

        Raises ApiFailure, Unreachable, AnswerBroken, and ParameterRefused for what the catalogue does not know.
        """
        declared, flat = self._prepared(action, {**(params or {}), **more})
        is_repeatable = declared.is_read or "ClientToken" in flat
        pause_s = FIRST_PAUSE_S
        for tries_left in reversed(range(TRIES)):
            try:
                return self._send(declared, flat)
            except ApiFailure as failure:
                if not (tries_left and is_repeatable and failure.may_pass):
                    raise
            except Unreachable as failure:
                if not tries_left or (failure.was_sent and not is_repeatable):
                    raise
            time.sleep(pause_s)
            pause_s *= 3
        raise AssertionError("the last try returns or raises")

    def call_once(self, action: str, params: Mapping[str, Any] | None = None, /, **more: Any) -> dict[str, Any]:
        """The same with one try, for who has something to show meanwhile. Raises what ``call`` raises."""
        return self._send(*self._prepared(action, {**(params or {}), **more}))

    def rows(self, action: str, params: Mapping[str, Any] | None = None, /, **more: Any) -> Iterator[dict[str, Any]]:
        """Every element of a listing, page after page: the images of DescribeImages. Raises what ``call`` raises."""
        declared = self.catalogue.action(action)
        if declared.listing is None:
            raise ParameterRefused(f"{action} answers with no list")
        outer, inner = (part.name for part in declared.listing)
        given = {**(params or {}), **more}
        by_token = declared.parameter("NextToken") is not None and declared.parameter("MaxResults") is not None
        size = declared.parameter("MaxResults" if by_token else "PageSize")
        if size is not None:
            given.setdefault(size.name, min(size.most or 100, 100))
        seen = 0
        for page in range(1, 1_000_000):
            if size is not None and not by_token:
                given["PageNumber"] = page
            answer = self.call(action, given)
            found: list[dict[str, Any]] = answer[outer][inner]
            yield from found
            seen += len(found)
            if by_token:
                given["NextToken"] = answer.get("NextToken") or None
            if not found or (given["NextToken"] is None if by_token else seen >= answer.get("TotalCount", 0)):
                return

    def readiness(self) -> Mapping[str, str]:
        """What a Kiln says of each of its parts, ``ok`` or what is wrong; nothing where nobody says that."""
        try:
            told = json.loads(self._transport.send("GET", "/readyz", {}).body)
            return {str(name): str(state) for name, state in told["checks"].items()}
        except (Unreachable, ValueError, TypeError, KeyError, AttributeError):
            return {}

    def measured(self) -> str:
        """What a Kiln tells a scraper, as Prometheus has it; empty where it tells nothing. Raises Unreachable."""
        reply = self._transport.send("GET", "/metrics", {})
        return reply.body.decode(errors="replace") if reply.status < CLIENT_ERROR else ""

    def news(self, resource: str) -> News:
        """What is told of a resource while it changes, to be closed by the caller."""
        return News(lambda: self._open_stream("text/event-stream"), resource)

    def feed(self) -> Feed:
        """All that is told of the account, as CloudEvents, for as long as somebody reads."""
        return Feed(lambda: self._open_stream(_CLOUD_EVENTS), lambda reply: self._read(_EVENTS, {}, reply))

    def _open_stream(self, accept: str) -> socket.socket:
        headers = {
            "host": self._transport.host,
            "accept": accept,
            "x-acs-content-sha256": signature.hash_body(b""),
            "x-acs-date": to_seconds_text(self._clock()),
            "x-acs-signature-nonce": uuid.uuid4().hex,
        }
        body_hash = headers["x-acs-content-sha256"]
        proof = signature.authorization(self._key_id, self._key_secret, "GET", headers, body_hash, path=_EVENTS)
        return self._transport.ask(_EVENTS, {**headers, "authorization": proof})

    def close(self) -> None:
        """Close what is open."""
        self._transport.close()

    def _prepared(self, action: str, given: Mapping[str, Any]) -> tuple[Action, dict[str, str]]:
        """What is declared of an action, and its parameters as they are sent. Raises ParameterRefused."""
        if action not in self.catalogue:
            raise ParameterRefused(f"there is no action {action}")
        declared = self.catalogue.action(action)
        if self.region and given.get("RegionId") is None and declared.parameter("RegionId") is not None:
            given = {**given, "RegionId": self.region}
        flat = flatten(declared, given)
        if declared.is_idempotent:
            flat.setdefault("ClientToken", str(uuid.uuid4()))
        return declared, flat

    def _send(self, action: Action, flat: Mapping[str, str]) -> dict[str, Any]:
        body = signature.encode(flat).encode()
        body_hash = signature.hash_body(body)
        headers = {
            "host": self._transport.host,
            "accept": "application/json",
            "content-type": "application/x-www-form-urlencoded",
            "x-acs-action": action.name,
            "x-acs-content-sha256": body_hash,
            "x-acs-date": to_seconds_text(self._clock()),
            "x-acs-signature-nonce": uuid.uuid4().hex,
            "x-acs-version": action.version,
        }
        proof = signature.authorization(self._key_id, self._key_secret, "POST", headers, body_hash)
        return self._read(
            action.name, flat, self._transport.post({**self._beside(), **headers, "authorization": proof}, body)
        )

    def _read(self, action: str, asked: Mapping[str, str], reply: HttpReply) -> dict[str, Any]:
        try:
            answer = json.loads(reply.body)
        except ValueError:
            answer = None
        if not isinstance(answer, dict):
            raise AnswerBroken(f"{self.endpoint} answered {action} with status {reply.status} and no JSON object")
        if reply.status < CLIENT_ERROR:
            return answer
        code = str(answer.get("Code", ""))
        raise ApiFailure(
            action=action,
            code=code,
            message=str(answer.get("Message", "")),
            status=reply.status,
            request_id=str(answer.get("RequestId", "")),
            hint=self.catalogue.hint(action, code, reply.status),
            asked=asked,
        )
