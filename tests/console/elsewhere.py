"""A console served alone, before a Kiln elsewhere: that of a test's, on another port."""

from __future__ import annotations

import socket
import threading
from collections.abc import Iterator
from contextlib import closing, contextmanager
from dataclasses import dataclass
from urllib.parse import urlencode

from kiln.client.client import Client
from kiln.console.asking import FORM, LINKS, ROOT, link_path
from kiln.console.hosts import Hosts
from kiln.console.sessions import COOKIE, Keys, MemorySessions, Who
from kiln.console.visit import Place
from kiln.service.consoles import LaterConsole, elsewhere
from kiln.service.http import make_server
from kiln.wire.http.bounds import Room
from kiln.wire.http.crowd import Crowd
from tests.clouds import ACCOUNT, REGION

#: How a browser may come to a Kiln's console.
WAYS = ("beside", "elsewhere")


@dataclass
class Alone:
    """The console's *origin*, and its *place*."""

    origin: str
    place: Place

    @property
    def host(self) -> str:
        return self.origin.partition("//")[2]

    def link(self, account: str = ACCOUNT) -> str:
        """A URL that signs in once."""
        return self.origin + link_path(self.place.sessions.make_link(Keys(account, f"secret-{account}")))

    def session(self) -> dict[str, str]:
        """The cookie of one who has signed in, whatever the Kiln says."""
        keys = Keys(ACCOUNT, f"secret-{ACCOUNT}")
        name = self.place.sessions.begin(Client(self.place.endpoint, *keys, REGION), keys, Who(ACCOUNT, ""))
        return {f"{COOKIE}_{self.host.rpartition(':')[2]}": name}


@contextmanager
def serve_alone(endpoint: str, clock, beat_s: float = 10.0) -> Iterator[Alone]:
    """A console of the Kiln at *endpoint*, on a port of its own."""
    ready = threading.Event()
    with closing(socket.create_server(("127.0.0.1", 0))) as listener:
        place = Place(
            endpoint=endpoint,
            region=REGION,
            hosts=Hosts(),
            sessions=MemorySessions(clock),
            is_beside=False,
            clock=clock,
        )
        table = elsewhere(place, LaterConsole(place, "127.0.0.1"), beat_s=beat_s)
        server = make_server(table, Crowd(Room(200, 200)), begins=ready.set)
        thread = threading.Thread(target=server.run, kwargs={"sockets": [listener]})
        thread.start()
        try:
            assert ready.wait(300)
            yield Alone(f"http://127.0.0.1:{listener.getsockname()[1]}", place)
        finally:
            server.should_exit = True
            thread.join(300)


@contextmanager
def console_of(served, way: str) -> Iterator[str]:
    """A link to a console of the Kiln that is served there: to its own, or to one that is served alone."""
    endpoint = "http://{}:{}".format(*served.address)
    if way == "beside":
        form = urlencode({"key_id": ACCOUNT, "key_secret": f"secret-{ACCOUNT}"}).encode()
        headers = {"content-type": FORM}
        yield endpoint + served.ask("POST", ROOT + LINKS, headers, form).body.decode().strip()
        return
    with serve_alone(endpoint, served.cloud.clock) as console:
        yield console.link()
