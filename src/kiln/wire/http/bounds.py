"""How much of HTTP is read before anybody is known, and for how long.

These are constants, because no client needs others and every one of them is far
from what a healthy client does. What depends on the host is how many
connections there may be, which follows from how many files may be open.
"""

from __future__ import annotations

import resource

from kiln.ground.units import GiB, KiB, MiB
from kiln.ground.values import dataclass

#: The classic SDK sends everything in the query: RunInstances with 32 KiB of UserData is some 60 KiB there.
REQUEST_LINE = 128 * KiB

#: No client's header comes near it; with the request line, the most that a head can be.
HEADERS = 64 * KiB
ONE_HEADER = 16 * KiB
HEADER_COUNT = 100

#: No documented request comes near it: the largest, RunInstances with its UserData, is some 60 KiB.
BODY = 1 * MiB

#: A body on the wire: chunks of a few bytes are more frame than body, and extensions of chunks are nothing else.
BODY_ON_THE_WIRE = 2 * BODY

#: Pieces of a body come one by one, so that a megabyte in pieces of a byte is a million calls. After the first few they
#: must have so many bytes each.
FEW_PIECES = 64
LEAST_OF_PIECE = 256

#: How much is given to the parser at once. It calls back for each request in it, so this bounds how many are queued.
SLICE = 2 * KiB

#: A head comes in one or two packets. Whoever takes longer is not a client, or has no network.
HEAD_S = 10.0

#: Between two pieces of a body, and for all of it.
PAUSE_S = 10.0
BODY_S = 60.0

#: A connection that is kept for a next request; SDKs that keep one notice when it is gone.
IDLE_S = 30.0

#: How long an answer may wait to be taken.
UNREAD_S = 20.0

#: Streams of changes that may be open at a time: one account's, and all. Each holds a connection for as long as it
#: likes, so all together have no more than so much of the connections that there may be.
STREAMS_OF_ACCOUNT = 64
STREAMS = 256
STREAMS_SHARE = 0.25

#: A stream on which nothing happens says so, so that a client knows that it is there, and a dead one is noticed.
BEAT_S = 10.0

#: A body that its application takes as it comes may be as long as it likes, but not slower than so many bytes in so
#: long: a disk image over a line of 10 kbit/s is nobody's, and a connection is kept for it.
STREAM_SLICE = 64 * KiB
STREAM_WINDOW_S = 60.0
STREAM_LEAST = 64 * KiB

#: Transfers of objects that may go on at a time: one account's, and all. Each has a piece of an object in memory.
TRANSFERS_OF_ACCOUNT = 32
TRANSFERS = 128

#: Objects that are made of their parts at a time, in all. Each may copy as many bytes as it has, on a thread of those
#: that all transfers share, and must leave some to them.
GATHERINGS = 4

#: The body of a request for OSS that is no object: a list of 10,000 parts, or of a thousand names.
LISTED = 2 * MiB

#: A message of a WebSocket, and how many may wait for their application: what is typed is a few bytes each.
SOCKET_MESSAGE = 64 * KiB
SOCKET_MESSAGES = 64

#: Frames are parsed in Python, which takes others' time: where more than a few come at once, each costs its connection
#: so long a rest. Who pastes has a thousand keys in a second all the same.
SOCKET_FRAMES = 16
SOCKET_FRAME_S = 0.001

#: Terminals that may be joined at a time, and their share of the connections that there may be.
TERMINALS = 256
TERMINALS_SHARE = 0.25

#: A terminal at which nothing is typed, and whose client does not say that it is there. Source: StartTerminalSession.
TERMINAL_IDLE_S = 180.0

#: What waits for who looks at a terminal; the oldest of it is lost to who is slower than the guest prints.
TERMINAL_WAITING = 256 * KiB

#: The query of a request for a terminal: it has two parameters, and is read before anybody is known.
TERMINAL_QUERY = 2 * KiB

#: How long who is joined may take to hear why it is over, and a guest to take what was typed at last.
TERMINAL_GOODBYE_S = 1.0

#: A WebSocket that is over, and whose client does not close it.
SOCKET_CLOSE_S = 2.0

#: After an answer that came before all of its request, the rest is read unseen, so that the answer is heard: while
#: bytes come (nginx has the same pause), as long as nginx does, and longer where as much comes as on a line that
#: objects are sent by. Twice what one request may bring is the end.
LINGER_PAUSE_S = 5.0
LINGER_S = 30.0
LINGER_LEAST = 1 * MiB  #: In each second beyond those.
LINGER = 10 * GiB

#: It takes the time of those who are answered, so after so much of it comes a rest: 160 MiB in a second at most.
LINGER_PIECE = 8 * MiB
LINGER_REST_S = 0.05

#: Of one peer at least so many, whatever the limit: a browser or an SDK with threads opens a dozen.
LEAST_OF_PEER = 16

#: More would cost memory, and no Kiln has so many clients.
MOST_CONNECTIONS = 4096

#: More files than Kiln can use; some programs that it starts go through all that they might have open.
_MOST_FILES = 65_536

#: What the pool, the database, QEMU's sockets and the transfers have open.
_OWN_FILES = 256


@dataclass(frozen=True)
class Room:
    """How many connections there may be."""

    in_all: int
    of_peer: int


def make_room() -> Room:
    """Raise the limit of open files as far as it goes, and share it between connections and Kiln's own files."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    wanted = _MOST_FILES if hard == resource.RLIM_INFINITY else min(hard, _MOST_FILES)
    if soft != resource.RLIM_INFINITY and soft < wanted:
        resource.setrlimit(resource.RLIMIT_NOFILE, (wanted, hard))
        soft = wanted
    return share(wanted if soft == resource.RLIM_INFINITY else soft)


def share(files: int) -> Room:
    """The connections where so many files may be open: half of what Kiln leaves, a quarter of it for one peer."""
    in_all = min(MOST_CONNECTIONS, max(LEAST_OF_PEER, (files - _OWN_FILES) // 2))
    return Room(in_all, max(LEAST_OF_PEER, in_all // 4))
