"""A console of this process before a Kiln of this process, and a browser without JavaScript that looks through it."""

from __future__ import annotations

import asyncio
import gzip
import re
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from functools import partial
from html.parser import HTMLParser
from urllib.parse import urlencode

from kiln.console.app import Console
from kiln.console.hosts import Hosts
from kiln.console.sessions import Keys, MemorySessions, Sessions
from kiln.console.visit import Place
from kiln.wire.http.bounds import Room
from kiln.wire.paths.events import Limits
from kiln.wire.paths.metrics import Metrics
from tests.clouds import ACCOUNT, REGION, Cloud
from tests.service.measured import scrape
from tests.wire.paths.site import Keys as MemoryKeys
from tests.wire.paths.site import start_site

HEALTH = {"checks": {"database": "ok", "pool": "it can only be read"}}
HOST = "127.0.0.1:8787"


@dataclass(frozen=True)
class Answered:
    status: int
    headers: list[tuple[str, str]]
    text: str
    sent: int  #: Bytes of the body as they were sent.

    def header(self, name: str) -> str:
        return next((value for key, value in self.headers if key == name), "")

    @property
    def place(self) -> str:
        """Where it sends the browser."""
        return self.header("location").removeprefix("/console")

    @property
    def form_token(self) -> str:
        found = re.search(r'name="form_token" value="([^"]+)"', self.text)
        assert found, self.text
        return found[1]

    def value(self, name: str) -> str:
        """What a field of the page is filled with."""
        found = re.search(rf'name="{re.escape(name)}"[^>]* value="([^"]*)"', self.text)
        assert found, (name, self.text)
        return found[1]

    @property
    def tags(self) -> list[tuple[str, dict[str, str | None]]]:
        """Every tag with its attributes."""
        found: list[tuple[str, dict[str, str | None]]] = []

        class Reader(HTMLParser):
            def handle_starttag(self, tag, attrs):
                found.append((tag, dict(attrs)))

        Reader().feed(self.text)
        return found

    @property
    def words(self) -> str:
        """What a person reads."""
        said: list[str] = []

        class Reader(HTMLParser):
            def handle_data(self, data):
                said.append(data)

        Reader().feed(self.text)
        return " ".join(" ".join(said).split())


@dataclass
class Browser:
    console: Console
    sessions: Sessions
    cloud: Cloud
    endpoint: str
    keys: MemoryKeys  #: What the service knows; each can be switched off.
    ids: dict[str, str] = field(default_factory=dict)  #: Of what there is, by the name of its pages.
    cookies: dict[str, str] = field(default_factory=dict)
    headers: dict[str, str] = field(default_factory=lambda: {"host": HOST, "accept-encoding": "gzip"})
    peer: str = "127.0.0.1"
    scheme: str = "http"

    def get(self, path: str, **headers: str | list[str]) -> Answered:
        return self.ask("GET", path, b"", **headers)

    def post(self, path: str, fields: dict[str, str], **headers: str | list[str]) -> Answered:
        """A form that is sent as it is."""
        kind = {"content_type": "application/x-www-form-urlencoded", "sec_fetch_site": "same-origin"}
        return self.ask("POST", path, urlencode(fields).encode(), **{**kind, **headers})

    def submit(self, path: str, fields: dict[str, str]) -> Answered:
        """A form of the page at *path*, with what that page gives it, filled in and sent."""
        page = self.get(path)
        assert page.status == 200, page.words
        given = {"form_token": page.form_token}
        if 'name="client_token"' in page.text:
            given["client_token"] = page.value("client_token")
        return self.post(path, {**given, **fields})

    def other(self) -> Browser:
        """Another browser before the same console."""
        return Browser(self.console, self.sessions, self.cloud, self.endpoint, self.keys, self.ids)

    def sign_in(self, account: str = ACCOUNT, *, is_operators: bool = False) -> None:
        token = self.sessions.make_link(Keys(account, f"secret-{account}"), is_operators=is_operators)
        assert self.get(f"/enter?token={token}").status == 200

    def ask(self, method: str, path: str, body: bytes, **headers: str | list[str]) -> Answered:
        """The answer to a request; of a header that is a list each is on a line of its own."""
        return asyncio.run(self.asked(method, path, body, **headers))

    async def asked(self, method: str, path: str, body: bytes, **headers: str | list[str]) -> Answered:
        """The same beside other requests."""
        sent = {**self.headers, **{name.replace("_", "-"): value for name, value in headers.items()}}
        if self.cookies:
            sent["cookie"] = "; ".join(f"{name}={value}" for name, value in self.cookies.items())
        where, _, query = path.partition("?")
        scope = {
            "type": "http",
            "method": method,
            "scheme": self.scheme,
            "path": "/console" + where,
            "raw_path": ("/console" + where).encode(),
            "query_string": query.encode(),
            "headers": [
                (name.encode(), line.encode("latin-1"))
                for name, value in sent.items()
                for line in ([value] if isinstance(value, str) else value)
            ],
            "client": (self.peer, 50000),
            "server": ("127.0.0.1", 8787),
        }
        told: list[dict] = []

        async def receive():
            return {"type": "http.request", "body": body, "more_body": False}

        async def send(message):
            told.append(message)

        await self.console(scope, receive, send)
        answer = [(name.decode(), value.decode()) for name, value in told[0]["headers"]]
        whole = told[1]["body"]
        text = gzip.decompress(whole) if ("content-encoding", "gzip") in answer and whole else whole
        for name, value in answer:
            if name == "set-cookie":
                key, _, kept = value.partition(";")[0].partition("=")
                self.cookies[key] = kept
        return Answered(told[0]["status"], answer, text.decode(errors="replace"), len(whole))


@contextmanager
def open_window(cloud: Cloud) -> Iterator[Browser]:
    """A browser that has not signed in, before a console of *cloud*."""
    metrics = Metrics(tell=partial(scrape, cloud))
    with start_site(cloud, Limits(), Room(200, 200), lambda: (True, HEALTH), metrics=metrics) as served:
        sessions = MemorySessions(cloud.clock)
        endpoint = "http://{}:{}".format(*served.address)
        hosts = Hosts(["kiln.example.com", "*.lan"])
        place = Place(
            endpoint=endpoint,
            region=REGION,
            hosts=hosts,
            sessions=sessions,
            clock=cloud.clock,
            voucher=served.voucher,
        )
        console = Console(place)
        try:
            yield Browser(console, sessions, cloud, endpoint, served.keys)
        finally:
            console.end()
