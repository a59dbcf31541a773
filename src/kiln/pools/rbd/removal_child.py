"""The process that removes images: ``python -m kiln.pools.rbd.removal_child ADDRESS WHO``, as ``removals`` begins it.

*ADDRESS* is the fields of an ``Address`` as one JSON object, and *WHO* those of the
``Whereabouts`` of who asks. Each line that is read is the name of an image, in JSON;
each line that is written is what became of it: ``{"is_removed"}``, or ``{"error",
"words", "status"}``. Ends as soon as there is nothing more to read, whatever it is
doing: who asked has ended.

Librbd opens what an image stands on, too, which may be a running guest's disk. So
this is known to work with the pool, as the Kiln that asks is: else it would be
taken for a machine that has the disk open beside the guest's, and be shut out.
"""

from __future__ import annotations

import contextlib
import json
import os
import sys
import threading
import time
from pathlib import Path
from queue import SimpleQueue
from typing import Any

from kiln.ground.whereabouts import Whereabouts
from kiln.pools.errors import PoolError, PoolFull, VolumeBusy
from kiln.pools.rbd.cluster import Cluster
from kiln.pools.rbd.entrances import Address
from kiln.pools.rbd.presence import entered

_LEAVING_S = 5.0


def main() -> None:
    """Remove what is asked for, one image after the other."""
    said, who = json.loads(sys.argv[1]), Whereabouts(**json.loads(sys.argv[2]))
    where = said.pop("configuration")
    cluster = Cluster(Address(configuration=None if where is None else Path(where), **said))
    asked: SimpleQueue[str | None] = SimpleQueue()
    is_idle = threading.Event()
    threading.Thread(target=_listen, args=(asked, is_idle), daemon=True).start()
    known = contextlib.ExitStack()
    is_known = False
    is_idle.set()
    while (image := asked.get()) is not None:
        is_idle.clear()
        is_known, answer = _answer(cluster, image, None if is_known else who, known)
        is_idle.set()  # Who has read the answer may end the line at once.
        sys.stdout.write(json.dumps(answer) + "\n")
        sys.stdout.flush()
    with contextlib.suppress(PoolError):
        known.close()  # Else Ceph would take this for being there for half a minute more.
    os._exit(0)


def _listen(asked: SimpleQueue[str | None], is_idle: threading.Event) -> None:
    for line in sys.stdin:
        asked.put(json.loads(line))
    if is_idle.is_set():
        asked.put(None)
        time.sleep(_LEAVING_S)
    # A cluster that does not answer would keep a removal, and the end of the connection, for ever.
    os._exit(0)


def _answer(
    cluster: Cluster, image: str, who: Whereabouts | None, known: contextlib.ExitStack
) -> tuple[bool, dict[str, Any]]:
    """Whether this process is known by now, as it is without *who*, and what became of the image."""
    is_known = who is None
    try:
        with contextlib.suppress(PoolFull):  # Who cannot be known can still delete.
            if not is_known:
                known.enter_context(entered(cluster, who))
                is_known = True
        return is_known, {"is_removed": _is_removed(cluster, image)}
    except PoolError as error:
        told = {"error": type(error).__name__, "words": str(error), "status": getattr(error, "status", None)}
        return is_known, told


def _is_removed(cluster: Cluster, image: str) -> bool:
    """See ``Removals.remove``."""
    rbd = cluster.rbd
    try:
        with cluster.telling() as ioctx:
            cluster.images.remove(ioctx, image)
    except rbd.ImageNotFound:
        pass
    except PoolError as error:
        if isinstance(error.__cause__, rbd.ImageHasSnapshots):
            return False
        if isinstance(error.__cause__, rbd.ImageBusy):
            raise VolumeBusy(f"{image} is open") from error
        raise
    return True


if __name__ == "__main__":
    main()
