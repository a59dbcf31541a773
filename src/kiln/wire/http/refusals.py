"""What is said to whoever is refused before there is a request: status and words of each reason."""

from __future__ import annotations

import http

from kiln.wire.http import bounds

_LARGE = (
    f"The headers are longer than {bounds.HEADERS // 1024} KiB, or one than {bounds.ONE_HEADER // 1024} KiB, "
    f"or there are more than {bounds.HEADER_COUNT}."
)

_ELSEWHERE = (
    "Kiln answers for names of the cloud (*.aliyuncs.com) and of its setting KILN_NAMES, at port 80 for http and 443 "
    "for https, and for its own addresses, and passes nothing on to others."
)

_SAYS: dict[str, tuple[int, str]] = {
    "bad_request": (400, "This is not HTTP/1.1."),
    "head_late": (408, f"The request's head took longer than {bounds.HEAD_S:.0f} seconds."),
    "body_late": (408, "The request's body took too long."),
    "body_in_crumbs": (413, f"The request's body comes in pieces of less than {bounds.LEAST_OF_PIECE} bytes."),
    "body_too_large": (413, "The request's body is too large."),
    "line_too_long": (414, f"The request line is longer than {bounds.REQUEST_LINE // 1024} KiB."),
    "headers_too_large": (431, _LARGE),
    "two_hosts": (400, "There is more than one Host."),
    "coding_unknown": (501, "The body may be chunked, and be coded in no other way."),
    "proxy_elsewhere": (403, _ELSEWHERE),
    "connect_elsewhere": (403, _ELSEWHERE),
    "connect_within": (403, "A connection that CONNECT made, or TLS, leads nowhere else."),
    "connect_closed": (502, "This Kiln has no certificates: its log says why."),
    "plain_text": (400, "This port speaks TLS alone: https:// and not http://."),
    "too_many_of_peer": (429, "There are too many connections of this client."),
    "too_many": (503, "There are too many connections."),
}


def refusal(reason: str) -> bytes:
    """The whole answer, after which the connection ends."""
    status, text = _SAYS[reason]
    later = "retry-after: 1\r\n" if status in {429, 503} else ""
    head = (
        f"HTTP/1.1 {status} {http.HTTPStatus(status).phrase}\r\n"
        f"content-type: text/plain; charset=utf-8\r\ncontent-length: {len(text) + 1}\r\n"
        f"{later}connection: close\r\n\r\n"
    )
    return f"{head}{text}\n".encode()


def fault_of(headers: list[tuple[bytes, bytes]]) -> str:
    """What the parser lets pass, and what two who read it could take for two things."""
    if sum(name == b"host" for name, _ in headers) > 1:
        return "two_hosts"
    codings = [value.strip().lower() for name, value in headers if name == b"transfer-encoding"]
    return "" if codings in ([], [b"chunked"]) else "coding_unknown"
