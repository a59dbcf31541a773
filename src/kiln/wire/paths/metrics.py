"""What is measured, for who scrapes it: nobody has to sign for that, so it is told to this host alone, or as is set.

A proxy on this host asks from here too, for anybody. So it counts as this host only who calls this server by a name of
the loopback, and does not say that it asks for another; docs/howto/watch.md has a proxy keep the path to itself.
"""

from __future__ import annotations

from collections.abc import Callable
from ipaddress import ip_address

from kiln.ground.values import dataclass
from kiln.wire.doors.door import RawRequest
from kiln.wire.paths.asgi import Receive, Scope, Send, send_whole, send_words, to_request
from kiln.wire.paths.threads import Threads

_FORWARDED = ("forwarded", "via", "x-forwarded-for", "x-real-ip")
_REFUSAL = (
    "What is measured is told on this host's loopback alone, and not through a proxy: see the setting KILN_METRICS."
)
_OFF = "What is measured is told to nobody: see the setting KILN_METRICS."


@dataclass(frozen=True, kw_only=True)
class Metrics:
    """How they are told, and to whom."""

    tell: Callable[[str], tuple[str, bytes]]  #: By what the caller accepts: the type of the text, and the text.
    is_for_everybody: bool = False


class MetricsPath:
    """See the module; without *metrics* they are told to nobody. It has a turn of its own, as the health has."""

    def __init__(self, metrics: Metrics | None, threads: Threads) -> None:
        self._metrics = metrics
        self._threads = threads

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:  # noqa: ARG002 - as every path.
        request = to_request(scope, b"")
        if self._metrics is None:
            await send_words(send, 403, _OFF)
        elif not self._metrics.is_for_everybody and not _is_of_this_host(request):
            await send_words(send, 403, _REFUSAL)
        else:
            accepted = request.fields.get("accept", "")
            kind, body = await self._threads.run("/metrics", self._metrics.tell, accepted)
            await send_whole(send, 200, [("content-type", kind), ("cache-control", "no-store")], body)


def _is_of_this_host(request: RawRequest) -> bool:
    host = request.host.rpartition(":")[0] if request.host.rpartition(":")[2].isdigit() else request.host
    is_forwarded = any(name in request.fields for name in _FORWARDED)
    return _is_loopback(request.client_host) and _is_loopback(host.strip("[]")) and not is_forwarded


def _is_loopback(host: str) -> bool:
    if host.lower() == "localhost":
        return True
    try:
        address = ip_address(host)
    except ValueError:
        return False
    return (getattr(address, "ipv4_mapped", None) or address).is_loopback
