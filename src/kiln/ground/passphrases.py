"""Passphrases on their way to QEMU and its tools, which are told them by a descriptor or a socket.

A block node names the passphrase that its file is opened with by an ID, and that
is all of it that a command line, a log or an error ever shows.
"""

from __future__ import annotations

import os
from collections.abc import Iterable, Iterator, Mapping
from contextlib import ExitStack, contextmanager
from typing import Any, Self


class Passphrase(str):
    """The ID of a passphrase, as block nodes and ``-object secret`` have it; ``text`` is the passphrase itself."""

    __slots__ = ("text",)
    text: str
    form = "raw"  #: How ``text`` spells it, in QEMU's words.

    def __new__(cls, name: str, text: str) -> Self:
        """An ID that knows its passphrase: equal to the plain text of the ID."""
        made = super().__new__(cls, name)
        made.text = text
        return made

    def __getnewargs__(self) -> tuple[str, str]:  # type: ignore[override]
        """What a copy is made of."""
        return str(self), self.text


class Key(Passphrase):
    """As a passphrase; ``text`` is Base64 of the key's bytes."""

    __slots__ = ()
    form = "base64"


def within(nodes: Iterable[Mapping[str, Any]]) -> list[Passphrase]:
    """The passphrases that block nodes, and what is written in them of the nodes below, are opened with; each once."""
    found: dict[Passphrase, None] = {}
    due: list[Any] = list(nodes)
    while due:
        value = due.pop()
        if isinstance(value, Passphrase):
            found[value] = None
        elif isinstance(value, Mapping):
            due.extend(value.values())
    return list(found)


@contextmanager
def handed_over(passphrases: Iterable[Passphrase], option: str) -> Iterator[tuple[list[str], list[int]]]:
    """Arguments (*option* is ``-object``, or the tools' ``--object``) and the descriptors that must be passed on.

    Each descriptor is of a file in memory, which is empty once the body is left: by then they have been read.
    """
    with ExitStack() as held:
        arguments: list[str] = []
        descriptors: list[int] = []
        for one in passphrases:
            descriptor = os.memfd_create("passphrase", os.MFD_CLOEXEC)
            held.callback(os.close, descriptor)
            held.callback(os.ftruncate, descriptor, 0)
            os.write(descriptor, one.text.encode())
            descriptors.append(descriptor)
            arguments += [option, f"secret,id={one},format={one.form},file=/proc/self/fd/{descriptor}"]
        yield arguments, descriptors
