"""The process that removes images: ``python -m kiln.pools.rbd.removal_child ADDRESS``, as ``removals`` begins it.

*ADDRESS* is the fields of an ``Address`` as one JSON object. Each line that is
read is the name of an image, in JSON; each line that is written is what became of
it: ``{"is_removed"}``, or ``{"error", "words", "status"}``. Ends as soon as there is
nothing more to read, whatever it is doing: who asked has ended.
"""

from __future__ import annotations

import json
import os
import sys
import threading
from pathlib import Path
from queue import SimpleQueue
from typing import Any

from kiln.pools.errors import PoolError, VolumeBusy
from kiln.pools.rbd.cluster import Cluster
from kiln.pools.rbd.entrances import Address


def main() -> None:
    """Remove what is asked for, one image after the other."""
    said = json.loads(sys.argv[1])
    where = said.pop("configuration")
    cluster = Cluster(Address(configuration=None if where is None else Path(where), **said))
    asked: SimpleQueue[str] = SimpleQueue()
    threading.Thread(target=_listen, args=(asked,), daemon=True).start()
    while True:
        sys.stdout.write(json.dumps(_answer(cluster, asked.get())) + "\n")
        sys.stdout.flush()


def _listen(asked: SimpleQueue[str]) -> None:
    for line in sys.stdin:
        asked.put(json.loads(line))
    # A cluster that does not answer would keep a removal, and the end of the connection, for ever.
    os._exit(0)


def _answer(cluster: Cluster, image: str) -> dict[str, Any]:
    try:
        return {"is_removed": _is_removed(cluster, image)}
    except PoolError as error:
        return {"error": type(error).__name__, "words": str(error), "status": getattr(error, "status", None)}


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
