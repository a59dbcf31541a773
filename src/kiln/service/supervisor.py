"""Tells the supervisor that started Kiln, such as systemd with ``Type=notify``, when it serves and when it ends.

The protocol is that of sd_notify(3): a datagram of ``NAME=value`` lines to the
socket that ``NOTIFY_SOCKET`` names. Without that variable nobody is told.
"""

from __future__ import annotations

import os
import socket

from kiln.ground.journal import Journal

log = Journal("kiln.service")

READY, STOPPING = "READY=1", "STOPPING=1"
_WAITS_S = 2.0  #: A supervisor that reads nothing holds nobody up for longer.


def tell_supervisor(state: str, text: str) -> None:
    """Tell the *state*, with a line of *text* that ``systemctl status`` shows. That it cannot be told is logged."""
    name = os.environ.get("NOTIFY_SOCKET", "")
    if not name:
        return
    # A name that begins with @ is in the abstract namespace, whose names begin with a zero byte.
    place = "\0" + name[1:] if name.startswith("@") else name
    try:
        with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM | socket.SOCK_CLOEXEC) as supervisor:
            supervisor.settimeout(_WAITS_S)
            supervisor.connect(place)
            supervisor.sendall(f"{state}\nSTATUS={text}".encode())
    except OSError as error:
        log.warning("supervisor_not_told", state=state, reason=error.strerror or str(error))
