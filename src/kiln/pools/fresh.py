"""What was put into a pool's records and not flushed yet, above what is kept: what the two together say of a name.

How documents are kept is each pool's own.
"""

from __future__ import annotations

import json
import threading
from abc import ABC, abstractmethod
from collections.abc import Collection, Iterable, Iterator, Mapping
from contextlib import AbstractContextManager
from hashlib import blake2b
from typing import Any

Name = tuple[str, str]  #: Kind and ID of what a document is about.
Said = tuple[Mapping[str, Any] | None, tuple[str, ...]]  #: A document, or None when the thing is gone, and its volumes.

CHECKSUM = 16  #: Hexadecimal digits.

_spell = json.JSONEncoder(sort_keys=True, separators=(",", ":")).encode


def spelled(value: Any) -> bytes:
    """JSON that is the same whenever the value is."""
    return _spell(value).encode()


def checksum(text: bytes) -> str:
    """What tells that a text is whole, and of two documents that they differ."""
    return blake2b(text, digest_size=CHECKSUM // 2).hexdigest()


class FreshRecords(ABC):
    """See the module's docstring; ``port.Records`` says what is promised. Safe to use from many threads."""

    def __init__(self) -> None:
        self._lock = threading.RLock()
        self._fresh: dict[Name, Said] = {}

    @abstractmethod
    def _loaded(self, *, is_fresh: bool = False) -> AbstractContextManager[None]:
        """Hold the lock, with what is kept read; *is_fresh* sees at once what another process wrote."""

    @abstractmethod
    def _is_kept(self, key: Name, document: Mapping[str, Any] | None, volumes: tuple[str, ...]) -> bool:
        """Whether just that is kept, or nothing where there is no document."""

    @abstractmethod
    def _kept_names(self) -> Iterable[Name]:
        """Of all documents that are kept."""

    @abstractmethod
    def _kept_document(self, key: Name) -> dict[str, Any] | None:
        """What is kept under a name; None where nothing is. Raises VolumeBroken."""

    @abstractmethod
    def _kept_naming(self, volume: str) -> Iterable[Name]:
        """Of the documents that are kept and name *volume*."""

    def put(self, kind: str, name: str, document: Mapping[str, Any] | None, volumes: Collection[str] = ()) -> None:
        """Keep a document, which names *volumes*; None when the thing is gone. What is kept already is not again."""
        with self._loaded():
            key = (kind, name)
            self._fresh.pop(key, None)  # What is put last is written last.
            if not self._is_kept(key, document, tuple(volumes)):
                self._fresh[key] = (document, tuple(volumes))

    def differs(self, kind: str, name: str, document: Mapping[str, Any] | None, volumes: Collection[str] = ()) -> bool:
        """Whether to ``put`` it would change something; quicker than to ``get`` what is kept and compare."""
        with self._loaded():
            key = (kind, name)
            if key in self._fresh:
                return self._fresh[key] != (document, tuple(volumes))
            return not self._is_kept(key, document, tuple(volumes))

    def get(self, kind: str, name: str) -> dict[str, Any] | None:
        """The document of that name, or None. Raises VolumeBroken."""
        with self._loaded():
            if (kind, name) in self._fresh:
                document, _ = self._fresh[(kind, name)]
                return None if document is None else dict(document)
            return self._kept_document((kind, name))

    def names(self, kind: str) -> list[str]:
        """The IDs of all documents of that kind, in order."""
        with self._loaded():
            found = {name for of, name in self._kept_names() if of == kind}
            for (of, name), (document, _) in self._fresh.items():
                if of == kind:
                    (found.discard if document is None else found.add)(name)
            return sorted(found)

    def all(self, kind: str) -> Iterator[tuple[str, dict[str, Any]]]:
        """Every document of that kind with its ID."""
        for name in self.names(kind):
            document = self.get(kind, name)
            if document is not None:
                yield name, document

    def naming(self, volume: str) -> list[Name]:
        """Kind and ID of everything whose document names *volume*."""
        with self._loaded(is_fresh=True):
            found = {key for key in self._kept_naming(volume) if key not in self._fresh}
            found |= {key for key, (document, volumes) in self._fresh.items() if document and volume in volumes}
            return sorted(found)
