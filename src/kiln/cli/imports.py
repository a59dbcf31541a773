"""Imports: the call, the wait, and what was put into a bucket for it, which is taken away when nobody needs it."""

from __future__ import annotations

import importlib
import shutil
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any, BinaryIO

from kiln.cli import exits, output, remote, uploads
from kiln.cli.exits import Refusal
from kiln.cli.remote import Fetching
from kiln.cli.session import said_in
from kiln.cli.uploads import Brought
from kiln.cli.waiting import Begun, shown, wait_for_outcome
from kiln.client.client import ApiFailure, Client
from kiln.client.waiters import WaitFailed

#: A name that ends in .raw or .img claims nothing: every file is some raw disk.
_FORMATS = {".qcow2": "QCOW2", ".vhd": "VHD", ".vmdk": "VMDK"}


def format_of(name: str) -> str | None:
    """The format that the file's name claims, so that what is no such file, as a failed download, is refused."""
    return _FORMATS.get(Path(name).suffix.lower())


@contextmanager
def uploaded(
    client: Client, data: Path | None, *, file: Path | None, url: str | None, digest: str, sample: bool, is_dry: bool
) -> Iterator[Brought | None]:
    """What is to be imported as an object of the caller's own bucket; None where it lies in a bucket already.

    Without a data folder the service is elsewhere, and is sent it.

    Of a dry run, which looks at no byte, one that only has its size: nothing is fetched or made for it.
    """
    if file is None and url is None and not sample:
        yield None
        return
    bucket = uploads.uploads_of(client.pseudonym)
    if data is None:
        fetch = _fetching(url, digest, sample=sample)
        with remote.brought(client, bucket, file=file, fetch=fetch, is_dry=is_dry) as sent:
            yield sent
        return
    sweep(client, uploads.bucket_folder(data, bucket))
    if is_dry and (url is not None or sample):
        with uploads.receiving(name_of(url or "sample"), data, bucket) as (upload, target):
            promised = 0 if url is None else _download(url, target, digest).look()
            target.truncate(promised or 1)  # An empty one would be refused.
        yield upload
    elif file is not None:
        yield uploads.put(file, data, bucket)
    elif url is not None:
        with uploads.receiving(name_of(url), data, bucket) as (upload, target):
            _fetch(url, target, digest)
        yield upload
    else:
        # As of what fetches below, only who asks for it waits for what it brings, which here are the settings.
        with importlib.import_module("kiln.cli.sample").sample() as made:
            upload = uploads.put(made, data, bucket)
        yield upload


def _fetch(url: str, target: BinaryIO, digest: str) -> None:
    try:
        with shown(url) as progress:
            _download(url, target, digest).run(progress)
    except (KeyboardInterrupt, SystemExit):
        output.note(f"\nkiln: no longer fetching {url}\n(Nothing was imported.)")
        raise
    target.flush()


def _fetching(url: str | None, digest: str, *, sample: bool) -> Fetching | None:
    """What brings the file that is to be sent on to a service elsewhere; None where it is there."""
    if url is not None:
        return Fetching(name_of(url), lambda target: _fetch(url, target, digest))
    return Fetching("sample", _copy_sample) if sample else None


def _copy_sample(target: BinaryIO) -> None:
    with importlib.import_module("kiln.cli.sample").sample() as made, made.open("rb") as disk:
        shutil.copyfileobj(disk, target)
    target.flush()


def _download(url: str, target: BinaryIO, digest: str) -> Any:
    """A file that is to be fetched. What fetches brings ssl: only who asks for it waits for that."""
    return importlib.import_module("kiln.cli.download").Download(url, target, digest)


def require_free_name(client: Client, name: str | None) -> None:
    """Raise Refusal where an image has the name: before much is fetched that the service will then not have."""
    if not name:
        return
    found = client.rows("DescribeImages", ImageName=name, ImageOwnerAlias="self", Status="ALL")
    taken = next((row["ImageId"] for row in found if row["ImageName"] == name), None)
    if taken is not None:
        delete = said_in(client, f"kiln image delete {taken}")
        hint = f"Give another --name, or delete that one: `{delete}`. Nothing was imported."
        raise Refusal(f"there is an image {name} already, {taken}", exits.REFUSED, hint)


def name_of(url: str) -> str:
    """The last part of a URL's path: the name of the file."""
    return url.partition("?")[0].partition("#")[0].rstrip("/").rpartition("/")[2]


def sweep(client: Client, folder: Path) -> None:
    """Take away what was left in a bucket for uploads, as by --no-wait, unless an import may still read it."""
    if not remote.is_any(client, "ImportImage"):
        uploads.remove_left(folder)


def require_taken(client: Client, params: dict[str, Any], folder: Path | None) -> None:
    """Raise ApiFailure where the service would refuse to import a qcow2 disk so: before minutes are spent on one."""
    bucket = uploads.uploads_of(client.pseudonym)
    with uploads.receiving("rehearsal", folder, bucket) as (upload, target):
        target.truncate(1)  # Of a rehearsal only its size is looked at.
    try:
        client.call("ImportImage", {**disk_first(params, {"Format": "QCOW2"}, upload), "DryRun": True})
    except ApiFailure as failure:
        if failure.code != client.catalogue.action("ImportImage").dry_run:
            raise
    finally:
        upload.remove()


def disk_first(params: dict[str, Any], known: Mapping[str, Any], upload: Brought | None) -> dict[str, Any]:
    """The parameters of an import whose first disk is what was uploaded, if anything was, and else is *known*."""
    placed = {"OSSBucket": upload.bucket, "OSSObject": upload.object} if upload else {}
    return {**params, "DiskDeviceMapping": [{**known, **placed}, *params.get("DiskDeviceMapping", ())]}


def import_image(
    client: Client, params: dict[str, Any], upload: Brought | None, timeout_s: float | None, *, as_json: bool
) -> None:
    """Import, print the ID at once, and wait unless *timeout_s* is None; an upload stays as long as it is needed."""
    is_needed = False
    try:
        answer = client.call("ImportImage", params)
        is_needed = True
        output.show_made(answer, answer["ImageId"], as_json=as_json)
        if timeout_s is not None:
            begun = Begun("image", answer["ImageId"], None, f"kiln task cancel {answer['TaskId']}")
            wait_for_outcome(client, "ImportImage", begun, timeout_s)
            is_needed = False
    except WaitFailed as error:
        is_needed = False
        failed = answer["ImageId"]
        stays = f"{failed} stays in the list with its name until `{said_in(client, f'kiln image delete {failed}')}`."
        raise Refusal(str(error), exits.FAILED_LATER, f"{error.hint} {stays}".lstrip()) from error
    finally:
        if upload is not None and is_needed:
            output.note(f"{upload.said} is read until the import is done; a later `kiln image import` takes it away.")
        elif upload is not None:
            upload.remove()
