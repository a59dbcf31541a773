"""Brings files to a Kiln elsewhere, and takes from it what it exported: by the part of OSS's API that it serves.

The same bucket of the caller's own, and the same words, as on the machine of
the service, where ``kiln.cli.uploads`` has the folder itself.
"""

from __future__ import annotations

import io
import os
import stat
import tempfile
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any, BinaryIO, NamedTuple

from kiln.cli import exits, output
from kiln.cli.exits import Refusal
from kiln.cli.uploads import YOUNG_S, fresh_name
from kiln.cli.waiting import shown
from kiln.client.client import AnswerBroken, ApiFailure, Client
from kiln.client.transport import Unreachable
from kiln.ground.clock import Clock, system_clock
from kiln.ground.values import dataclass


class Fetching(NamedTuple):
    """What brings a file that is not there yet, and what it is called."""

    name: str
    run: Callable[[BinaryIO], None]


@dataclass(frozen=True)
class RemoteUpload:
    """See ``uploads.Brought``."""

    bucket: str
    object: str
    objects: Any

    @property
    def said(self) -> str:
        """Where it lies, as it is said."""
        return f"{self.object} in the bucket {self.bucket}"

    def remove(self) -> None:
        """Take it away again, also where it was broken off before anybody was told of its upload's ID.

        Nobody else brings an object of that name. What cannot be reached is left to a later import.
        """
        with suppress(ApiFailure, Unreachable, AnswerBroken):
            for upload in self.objects.begun(self.bucket, self.object):
                self.objects.abort(self.bucket, self.object, upload)
            self.objects.delete(self.bucket, self.object)


@contextmanager
def brought(
    client: Client, bucket: str, *, file: Path | None, fetch: Fetching | None, is_dry: bool
) -> Iterator[RemoteUpload]:
    """*file*, or what *fetch* brings, as an object of the caller's own bucket. Raises Refusal.

    Of a dry run, which looks at no byte, one of a single byte: no more is sent for it.
    """
    objects = client.objects
    objects.make_bucket(bucket)
    remove_left(client, bucket, "ImportImage")
    name = fetch.name if fetch is not None else file.name if file is not None else ""
    upload = RemoteUpload(bucket, fresh_name(name), objects)
    with _source(file, fetch, is_dry=is_dry) as (source, size_bytes):
        try:
            with shown(name) as progress:
                objects.put(bucket, upload.object, source, size_bytes, progress)
        except (KeyboardInterrupt, SystemExit):
            output.note(f"\nkiln: no longer sending {name}\n(Nothing was imported.)")
            raise
    yield upload


@contextmanager
def _source(file: Path | None, fetch: Fetching | None, *, is_dry: bool) -> Iterator[tuple[BinaryIO, int]]:
    """An open file and its length. Raises Refusal."""
    if file is not None:
        with _opened(file) as (source, size_bytes):
            yield (io.BytesIO(b"\0"), 1) if is_dry and size_bytes else (source, size_bytes)
    elif is_dry or fetch is None:
        yield io.BytesIO(b"\0"), 1
    else:
        with tempfile.NamedTemporaryFile(prefix="kiln-import-") as target:
            fetch.run(target)  # type: ignore[arg-type]
            target.seek(0)
            yield target, os.fstat(target.fileno()).st_size  # type: ignore[misc]


@contextmanager
def _opened(file: Path) -> Iterator[tuple[BinaryIO, int]]:
    try:
        # Without O_NONBLOCK a named pipe would be waited for.
        descriptor = os.open(file, os.O_RDONLY | os.O_NONBLOCK | os.O_CLOEXEC)
    except OSError as error:
        raise Refusal(f"{file}: {error.strerror}", exits.FILE) from error
    with os.fdopen(descriptor, "rb") as source:
        found = os.fstat(descriptor)
        if not stat.S_ISREG(found.st_mode):
            raise Refusal(f"{file} is not a regular file", exits.FILE)
        yield source, found.st_size


def is_any(client: Client, action: str) -> bool:
    """Whether a task of the caller's may still read, or write, what lies in a bucket for it."""
    return next(client.rows("DescribeTasks", TaskAction=action, TaskStatus="Processing"), None) is not None


def remove_left(client: Client, bucket: str, action: str, prefix: str = "", clock: Clock = system_clock) -> None:
    """Take away what was left of earlier tasks; what is younger than an hour may be somebody's who goes on."""
    objects = client.objects
    left = [one.name for one in objects.list(bucket, prefix) if one.modified_at < clock() - YOUNG_S]
    if left and not is_any(client, action):
        for name in left:
            objects.delete(bucket, name)


def objects_of(task: Mapping[str, Any]) -> list[str]:
    """The names of the objects that an export wrote, the system disk's first."""
    steps = task.get("OperationProgressSet", {}).get("OperationProgress", [])
    items = [item for step in steps for item in step.get("RelatedItemSet", {}).get("RelatedItem", [])]
    return [item["Value"] for item in items if item["Name"] == "OSSObject"]


def take(client: Client, bucket: str, name: str, file: Path) -> Path:
    """Move an object of a bucket to *file*, or into that folder: where it is then.

    Raises Refusal; then it lies in the bucket as before, and nothing here.
    """
    objects = client.objects
    target = file / name if file.is_dir() else file
    draft = target.with_name(f".{target.name}.part")
    try:
        try:
            with draft.open("xb") as begun, shown(name) as progress:
                objects.fetch(bucket, name, begun, progress)
            draft.replace(target)
        finally:
            draft.unlink(missing_ok=True)
    except OSError as error:
        hint = f"The export is whole: {name} in the bucket {bucket}."
        raise Refusal(f"{target}: {error.strerror or error}", exits.FILE, hint) from error
    objects.delete(bucket, name)
    return target
