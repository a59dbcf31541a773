"""Whether the files of a layer are as long as they were made, for who gives it one more name.

A file that was cut reads as zeros beyond its end, and QEMU says nothing of it.
Whoever copies or opens a layer finds that out; to name it takes neither, and so
it is looked at here, at the price of one stat for each file.
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Mapping

from kiln.pools import lineage
from kiln.pools.errors import VolumeMissing

_KEPT_MOST = 4096


class LengthWatch:
    """Remembers what the books said of layers, so that they are read again only where a file is not as they said."""

    def __init__(self) -> None:
        self._known: dict[str, Mapping[str, int]] = {}
        self._lock = threading.Lock()

    def is_as_before(self, layer: str, length: Callable[[str], int]) -> bool:
        """Whether the files of *layer* and of what it stands on are as they were when somebody looked last.

        *length* tells how many bytes a file has, and raises VolumeMissing.
        """
        known = self._known.get(layer)
        if known is None:
            return False
        try:
            for name, said in known.items():
                if length(name) != said:
                    return False
        except VolumeMissing:
            return False
        return True

    def require_files(self, layer: str, ask: lineage.Lineage, length: Callable[[str], int]) -> None:
        """Raise VolumeMissing, VolumeBroken when a file is gone or was cut by the books, which *ask* reads."""
        lineage.require_files(layer, ask, length)
        told = ask(layer)
        sizes = {name: said for name, said in (told or {}).items() if said is not None}
        with self._lock:
            self._known.pop(layer, None)
            # What may grow, or what no length is known of, is asked for each time.
            if told and len(sizes) == len(told):
                if len(self._known) >= _KEPT_MOST:
                    self._known.clear()
                self._known[layer] = sizes
