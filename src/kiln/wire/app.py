"""The paths of the server, each with its application: the one place where they are declared.

Asyncio stays in ``kiln.wire.paths`` and ``kiln.wire.peers``. A request's work is synchronous and runs on
a small pool of threads: more threads than a few only pass Python's lock around.
"""

from __future__ import annotations

from concurrent.futures import Executor
from dataclasses import field

from kiln.calls.terminals import MOST_CONNECTED
from kiln.ground.units import KiB
from kiln.ground.values import dataclass
from kiln.store.changes import Hub
from kiln.wire.gateway import Gateway
from kiln.wire.http.bounds import SOCKET_MESSAGE, STREAMS, STREAMS_OF_ACCOUNT, TERMINALS
from kiln.wire.oss.gate import OssGate
from kiln.wire.paths import oss
from kiln.wire.paths.asgi import Application
from kiln.wire.paths.doors import Doors
from kiln.wire.paths.events import Events, Limits
from kiln.wire.paths.health import Health, HealthPath
from kiln.wire.paths.metrics import Metrics, MetricsPath
from kiln.wire.paths.oss import OssPath
from kiln.wire.paths.table import Path, Table
from kiln.wire.paths.terminal import TerminalPath, TerminalSite
from kiln.wire.paths.threads import Threads


@dataclass(frozen=True, kw_only=True)
class Site:
    """What the applications are made of."""

    gateway: Gateway
    threads: Threads
    alive: Health
    ready: Health
    hub: Hub
    oss: OssGate
    movers: Executor  #: Threads that read and write objects, and may wait for a disk.
    terminal: TerminalSite
    console: Application
    limits: Limits = field(default_factory=Limits)
    metrics: Metrics | None = None  #: None: they are told to nobody.


PATHS: tuple[Path[Site], ...] = (
    Path(
        at="/",
        make=lambda site: Doors(site.gateway, site.threads),
        has_below=True,
        about="""\
The API: every [operation](operations/index.md), signed as the official clients sign. What is below it and in no other
line of this table is answered by the API as well, with its own words for what there is not.""",
    ),
    Path(
        at="/BUCKET/OBJECT",
        make=lambda site: OssPath(site.oss, site.threads, site.movers),
        claims=oss.claims,
        is_streamed=True,
        about="""\
[The little of OSS](oss.md) by which images come and go: the buckets, and the objects in them, streamed. A request is
known by its signature, at any path: `Authorization: OSS ...` or `OSS4-HMAC-SHA256 ...`, or that in a presigned URL. It
is known by its host, too, where that is a name of OSS's (`BUCKET.oss-REGION.aliyuncs.com`) and a proxy or a hosts file
has led it here.""",
    ),
    Path(
        at="/healthz",
        make=lambda site: HealthPath(site.alive, site.threads),
        methods=("GET", "HEAD"),
        is_of_every_process=True,
        about="""\
Whether Kiln is alive, for whoever restarts what is not: 200, or 503 where a part of it has ended, or no answer at all.
The facts that it answers with, as JSON, say more: `status` is `failing` where all is not well, and `reason` says why.
Nobody has to sign for it.""",
    ),
    Path(
        at="/readyz",
        make=lambda site: HealthPath(site.ready, site.threads),
        methods=("GET", "HEAD"),
        is_of_every_process=True,
        about="""\
Whether all is well: 200, or 503, with the same facts and `checks`: each thing that was looked at, by its name, with
`ok` or what is amiss. [What it looks at](../howto/watch.md#alive-and-ready) has a page of its own. Nobody has to sign
for it.""",
    ),
    Path(
        at="/metrics",
        make=lambda site: MetricsPath(site.metrics, site.threads),
        methods=("GET",),
        is_of_every_process=True,
        about="""\
[What is measured](metrics.md), in the text format of Prometheus, or as OpenMetrics for who accepts that. By the setting
`KILN_METRICS` it is told to who asks from this host under one of its own addresses, and to nobody whom a proxy speaks
for (`loopback`, the default); to everybody who asks; or to nobody (`off`). Others are answered with 403. Nobody has to
sign for it, and it says nothing of any account.""",
    ),
    Path(
        at="/events",
        make=lambda site: Events(site.gateway, site.hub, site.threads, site.limits),
        methods=("GET",),
        about="""\
What changes in the caller's account, while it happens: a stream of
[server-sent events](https://html.spec.whatwg.org/multipage/server-sent-events.html) that ends when the reader leaves or
the server stops. It is Kiln's own; the real service has none. The request is signed as any of the account's, with
`ACS3-HMAC-SHA256` for the path `/events`, and has neither parameters nor a body.

    : listening

    event: change
    data: {"ResourceType": "image", "ResourceId": "m-...", "OldStatus": "Creating", "NewStatus": "Available"}

    : beat

    event: missed
    data: {}

- `: listening` is the first line: what changes from then on is told.
- A `change` tells of an image, a snapshot, a disk, an instance, or a task that DescribeTasks shows: what its status was
  (`null`: it has come into being) and is (`null`: it is gone). Where both are the same, something else can be seen, as
  its progress. Only the account that owns the resource is told.
- `: beat` comes when nothing was told for some seconds. A client that hears nothing for much longer has lost the
  connection.
- With `Accept: application/cloudevents+json` each change is told as a [CloudEvent](../howto/events.md) instead:
  `event: cloudevent`, whose data is the event on one line. All else of the stream is the same.
- `missed` comes when the reader was too slow: changes were lost, and all that is of interest has to be looked at again.

An event is news, and the Describe actions tell what is so: look once after `: listening`, and again at each event.
So does `kiln` itself, wherever it waits, and every ten seconds beside; where there is no such stream, or one that
breaks, it looks about once a second.
"""
        f"""\
Of one account {STREAMS_OF_ACCOUNT} streams may be open, {STREAMS} in all, and no more than a quarter of the
connections that there may be; then the answer is 429 `Throttling.Events`. A stream whose key was switched off or
deleted ends at its next beat.""",
    ),
    Path(
        at="/console",
        make=lambda site: site.console,
        methods=("GET", "HEAD", "POST"),
        has_below=True,
        about="""\
[The console](../howto/console.md): pages for a browser, made by a client of the API. Who comes signs in, by a link that
`kiln serve` and `kiln console` print or by an AccessKey. It answers to the loopback's names, to the address that Kiln
listens on, and to those of the settings `names` and `public_endpoint`; a request by another name gets 421.""",
    ),
    Path(
        at="/session",
        make=lambda site: TerminalPath(site.gateway, site.threads, site.terminal),
        methods=("GET",),
        is_socket=True,
        about=f"""\
A terminal on the serial console of an instance: the WebSocket of the URL that
[StartTerminalSession](operations/StartTerminalSession.md) gives, by Session Manager's protocol, which
[a page of its own](../howto/terminal.md) describes. The token in the URL, or in the header `X-Acs-Session-Token`, does
for one time; a wrong one is answered with 403 and no more words than that. Who asks from a browser has to do so from a
page of this server. A message may have {SOCKET_MESSAGE // KiB} KiB.

To one instance {MOST_CONNECTED} sessions may be joined, {TERMINALS} in all, and no more than a quarter of the
connections that there may be. All who are joined to an instance see the same, and each may type. Who reads more slowly
than the guest prints loses the oldest of it, and is told how much. A session ends when nothing comes from its client
for three minutes, an empty message included, and when its key was switched off or deleted.""",
    ),
)


def make_app(site: Site, *, answers: bool = True) -> Table[Site]:
    """The ASGI application of a server; unless it *answers* the API, of what those are asked who watch it."""
    return Table([path for path in PATHS if answers or path.is_of_every_process], site)
