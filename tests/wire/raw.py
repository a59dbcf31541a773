"""A request as the server hands it to the doors, made of what a client sends."""

from __future__ import annotations

from kiln.wire.doors.door import RawRequest


def raw_request(method: str, target: str, headers: list[tuple[str, str]], body: bytes) -> RawRequest:
    """The request with this *target*, of the form that begins with a slash."""
    path, _, query = target.partition("?")
    return RawRequest(
        method=method, path=path, query_string=query.encode("latin-1", "replace"), headers=headers, body=body
    )


def target_of(request: RawRequest) -> str:
    """The target that a client would send."""
    return f"{request.path}?{request.query_string.decode('latin-1')}" if request.query_string else request.path
