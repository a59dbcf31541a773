"""A visitor of the console without a browser: keeps cookies, reads links, finds a way to every page of its table."""

from __future__ import annotations

import gzip
import http.client
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from html.parser import HTMLParser
from typing import NamedTuple
from urllib.parse import urlencode, urljoin, urlsplit

from kiln.console.asking import ROOT
from kiln.console.routing import Routes
from kiln.console.visit import Page

_TIMEOUT_S = 300
_LOOKED_AT = 4  #: Things of a kind: what can be done with one depends on its state.


class Answer(NamedTuple):
    """What was answered: *sent* is the body as it came, *text* as it is read."""

    status: int
    headers: Mapping[str, str]
    sent: bytes
    text: str


@dataclass
class Visitor:
    """One who has cookies, at a *host* (``127.0.0.1:PORT``)."""

    host: str
    cookies: dict[str, str] = field(default_factory=dict)
    _connection: http.client.HTTPConnection | None = None

    def enter(self, key_id: str, secret: str) -> str:
        """Sign in by a link that is asked for with these keys; returns the link, which is used then."""
        link = self.link(key_id, secret)
        self.get(link)
        return link

    def link(self, key_id: str, secret: str) -> str:
        """A link that signs in once."""
        form = urlencode({"key_id": key_id, "key_secret": secret})
        answer = self.ask("POST", f"{ROOT}/links", form)
        assert answer.status == http.client.CREATED, answer.text
        return answer.text.strip()

    def get(self, path: str) -> Answer:
        return self.ask("GET", path)

    def ask(self, method: str, path: str, form: str | None = None) -> Answer:
        """Ask, as a browser would that has been here before with these cookies, and keep those that are set."""
        headers = {"Accept-Encoding": "gzip", "Cookie": "; ".join(f"{k}={v}" for k, v in self.cookies.items())}
        if form is not None:
            headers["Content-Type"] = "application/x-www-form-urlencoded"
        try:
            answer = self._send(method, path, form, headers)
        except (BrokenPipeError, ConnectionResetError, http.client.RemoteDisconnected):
            # The server has ended a connection on which nothing was asked for half a minute.
            self.close()
            answer = self._send(method, path, form, headers)
        sent = answer.read()
        for said in answer.msg.get_all("set-cookie", []):
            name, _, value = said.partition(";")[0].partition("=")
            self.cookies[name] = value
        is_packed = answer.msg.get("content-encoding") == "gzip"
        text = (gzip.decompress(sent) if is_packed else sent).decode(errors="replace")
        return Answer(answer.status, dict(answer.msg.items()), sent, text)

    def _send(self, method: str, path: str, form: str | None, headers: Mapping[str, str]) -> http.client.HTTPResponse:
        if self._connection is None:
            self._connection = http.client.HTTPConnection(self.host, timeout=_TIMEOUT_S)
        self._connection.request(method, path, form, dict(headers))
        return self._connection.getresponse()

    def close(self) -> None:
        if self._connection is not None:
            self._connection.close()
            self._connection = None


def ways(visitor: Visitor, pages: Iterable[Page], start: str = f"{ROOT}/") -> dict[str, str]:
    """A path to each page of the table that links lead to from *start*, by what its declaration says of where it is."""
    routes = Routes(pages)
    found: dict[str, str] = {}
    waiting = [start]
    seen = {start}
    looked_at: Counter[str] = Counter()
    while waiting:
        path = waiting.pop(0)
        page = _page(routes, path)
        if page is None or looked_at[page.at] == (_LOOKED_AT if page.at.endswith("{id}") else 1):
            continue
        looked_at[page.at] += 1
        answer = visitor.get(path)
        if answer.status == http.client.OK:
            found.setdefault(page.at, path)
        for link in _links(path, answer.text):
            if link not in seen:
                seen.add(link)
                waiting.append(link)
    return found


def brought(text: str) -> list[str]:
    """The files that a page asks for by itself."""
    return [url for tag, url in _read(text) if tag in ("link", "script", "img") and not url.startswith("data:")]


def _page(routes: Routes, path: str) -> Page | None:
    methods, _ = routes.find(urlsplit(path).path.removeprefix(ROOT) or "/")
    return methods.get("GET")


def _links(path: str, text: str) -> Iterator[str]:
    for tag, url in _read(text):
        to = urljoin(path, url)
        if tag == "a" and to.startswith((f"{ROOT}/", f"{ROOT}?")):
            yield to.partition("#")[0]


def _read(text: str) -> list[tuple[str, str]]:
    reader = _Reader()
    reader.feed(text)
    return reader.found


class _Reader(HTMLParser):
    def __init__(self) -> None:
        super().__init__()
        self.found: list[tuple[str, str]] = []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        url = dict(attrs).get("src" if tag in ("script", "img") else "href")
        if url:
            self.found.append((tag, url))
