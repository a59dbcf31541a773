"""Takes an image to the pool of another Kiln: out of the one, through this process piece by piece, into the other.

Whatever pools the two have, each does what it does for ExportImage and ImportImage,
and neither has to stop. Nothing lies here meanwhile; what lies in the two buckets is
taken away at the end, or by the next copy where this one was killed. The image is
there, whole, or there is none: an import that is broken off is taken back.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterator, Mapping
from contextlib import ExitStack, contextmanager, suppress
from typing import Any

import typer

from kiln.cli import exits, output, remote, uploads
from kiln.cli.declared import Given
from kiln.cli.ending import orderly
from kiln.cli.exits import Refusal
from kiln.cli.imports import require_free_name
from kiln.cli.session import open_client, open_other
from kiln.cli.waiting import shown
from kiln.client import waiters
from kiln.client.client import AnswerBroken, ApiFailure, Client
from kiln.client.transport import Unreachable
from kiln.client.waiters import WaitFailed, WaitTooLong
from kiln.ground.units import MiB

#: What a copy to another pool may be told beside the image: the rest is CopyImage's own.
_TAKEN = {"ImageId", "DestinationRegionId", "DestinationImageName", "DestinationDescription"}

_PREFIX = "copy"  #: Of the names of what is written out for a copy.
_IMPORTED_MODES = ("BIOS", "UEFI")  #: The others are said of an image that is there.
_PIECE = 8 * MiB
_END_S = 30.0  #: So long it may take a task that was cancelled to end.

#: What befalls who takes something back: the next copy does it then.
_FAILURES = (ApiFailure, Unreachable, AnswerBroken, WaitFailed, WaitTooLong)


def copy_across(
    given: Given, endpoint: str, *, region: str | None, timeout_s: float, is_compared: bool, as_json: bool
) -> None:
    """Copy an image to the Kiln at *endpoint*, and print its ID there. Raises Refusal, and what clients raise."""
    if given.params.keys() - _TAKEN:
        raise typer.BadParameter("with --pool only --to, --name and --description are taken")
    with (
        orderly(),
        open_client(region) as source,
        open_other(endpoint, source, given.params.get("DestinationRegionId"), "--pool") as target,
    ):
        image = _found(source, given.resolved(source)["ImageId"])
        _require_whole(image)
        params = _to_params(image, given.params)
        require_free_name(target, params.get("ImageName"))
        with _written_out(source, image["ImageId"], "qcow2", timeout_s) as names:
            made = _brought_in(source, target, image, params, names=names, timeout_s=timeout_s)
        _complete(target, made, image)
        if is_compared:
            _compare(source, image["ImageId"], target, made, timeout_s)
    output.show_made({"ImageId": made}, made, as_json=as_json)


def _found(client: Client, image: str) -> Mapping[str, Any]:
    found = waiters.find(client, "image", image)
    if found is None:
        raise Refusal(f"there is no image {image}", exits.REFUSED, "`kiln image list` shows them.")
    return found


def _disks(image: Mapping[str, Any]) -> list[dict[str, Any]]:
    disks: list[dict[str, Any]] = image["DiskDeviceMappings"]["DiskDeviceMapping"]
    return disks


def _require_whole(image: Mapping[str, Any]) -> None:
    """Raise Refusal where an export would leave a disk out, so that the copy would not be the image."""
    if image["ImageOwnerAlias"] == "self" and not all(disk["SnapshotId"] for disk in _disks(image)):
        hint = "Run it, make an image of the instance, and copy that one."
        raise Refusal(f"{image['ImageId']} has a blank disk, which no import makes", exits.REFUSED, hint)


def _to_params(image: Mapping[str, Any], said: Mapping[str, Any]) -> dict[str, Any]:
    """What ImportImage is told, but for its disks."""
    tags = [{"Key": tag["TagKey"], "Value": tag["TagValue"]} for tag in image["Tags"]["Tag"]]
    known = {
        "ImageName": said.get("DestinationImageName") or image["ImageName"],
        "Description": said.get("DestinationDescription") or image["Description"],
        "Architecture": image["Architecture"],
        "OSType": image["OSType"],
        "Platform": image["Platform"],
        "BootMode": image["BootMode"] if image["BootMode"] in _IMPORTED_MODES else None,
        "LicenseType": image["LicenseType"],
        "Features": {name: image["Features"][name] for name in ("NvmeSupport", "ImdsSupport")},
        "Tag": tags,
    }
    return {name: value for name, value in known.items() if value}


@contextmanager
def _written_out(client: Client, image: str, kind: str, timeout_s: float) -> Iterator[list[str]]:
    """The objects of an image's disks in the caller's own bucket; they are taken away at the end."""
    bucket, objects = uploads.exports_of(client.pseudonym), client.objects
    objects.make_bucket(bucket)
    remote.remove_left(client, bucket, "ExportImage", _PREFIX)
    asked = {"ImageId": image, "OSSBucket": bucket, "ImageFormat": kind, "OSSPrefix": _PREFIX}
    task = client.call("ExportImage", asked)["TaskId"]
    try:
        with shown(f"{image} is written out") as progress, _cancelling(client, task):
            done = waiters.wait(client, "task", task, "Finished", progress=progress, timeout_s=timeout_s)
        yield remote.objects_of(done or {})
    finally:
        with suppress(*_FAILURES):
            # One that was cancelled too late has written them all the same.
            done = waiters.wait(client, "task", task, "Finished", timeout_s=_END_S)
            for name in remote.objects_of(done or {}):
                objects.delete(bucket, name)


def _brought_in(
    source: Client,
    target: Client,
    image: Mapping[str, Any],
    params: dict[str, Any],
    *,
    names: list[str],
    timeout_s: float,
) -> str:
    """Bring objects of *source* to *target*, and make an image of them there; returns its ID."""
    bucket = uploads.uploads_of(target.pseudonym)
    target.objects.make_bucket(bucket)
    remote.remove_left(target, bucket, "ImportImage")
    with ExitStack() as stack:
        mappings = []
        for name, disk in zip(names, _disks(image), strict=True):
            upload = remote.RemoteUpload(bucket, uploads.fresh_name(name), target.objects)
            stack.callback(upload.remove)
            reading = source.objects.open(uploads.exports_of(source.pseudonym), name)
            with shown(f"{disk['Device']} of {image['ImageId']}") as progress:
                target.objects.put(bucket, upload.object, reading, reading.size_bytes, progress)
            mappings.append(
                {
                    "OSSBucket": bucket,
                    "OSSObject": upload.object,
                    "Format": "QCOW2",
                    "DiskImageSize": int(disk["Size"]),
                }
            )
        answer = target.call("ImportImage", {**params, "DiskDeviceMapping": mappings})
        made: str = answer["ImageId"]
        try:
            with shown(made) as progress, _cancelling(target, answer["TaskId"]):
                waiters.wait(target, "image", made, "Available", progress=progress, timeout_s=timeout_s)
        except WaitFailed as error:
            with suppress(*_FAILURES):
                target.call("DeleteImage", ImageId=made)
            hint = f"{error.hint} Nothing of it is left there.".lstrip()
            raise Refusal(str(error), exits.FAILED_LATER, hint) from error
        return made


def _complete(target: Client, made: str, image: Mapping[str, Any]) -> None:
    """Say of the copy what no import takes."""
    more = {"ImageFamily": image["ImageFamily"]}
    if image["BootMode"] not in _IMPORTED_MODES:
        more["BootMode"] = image["BootMode"]
    more = {name: value for name, value in more.items() if value}
    if more:
        target.call("ModifyImageAttribute", {"ImageId": made, **more})


def _compare(source: Client, image: str, target: Client, made: str, timeout_s: float) -> None:
    """Raise Refusal where a guest would not read the same of both; each is written out raw once more for that."""
    ours, theirs = (_digests(client, one, timeout_s) for client, one in ((source, image), (target, made)))
    if ours != theirs:
        hint = f"Both are there: {image} here and {made} there."
        raise Refusal(f"{made} does not read as {image}: {theirs} is not {ours}", exits.UNSOUND, hint)
    for disk, digest in enumerate(ours):
        output.note(f"disk {disk} of both reads the same: sha256:{digest}")


def _digests(client: Client, image: str, timeout_s: float) -> list[str]:
    """SHA-256 of what a guest reads of each disk."""
    found = []
    with _written_out(client, image, "raw", timeout_s) as names:
        for name in names:
            reading, digest = client.objects.open(uploads.exports_of(client.pseudonym), name), hashlib.sha256()
            with shown(f"{name} is compared") as progress:
                while piece := reading.read(_PIECE):
                    digest.update(piece)
                    progress(reading.at * 100 // reading.size_bytes, "Comparing")
            found.append(digest.hexdigest())
    return found


@contextmanager
def _cancelling(client: Client, task: str) -> Iterator[None]:
    """Take the task back where it is not waited for to its end."""
    try:
        yield
    except BaseException:
        with suppress(*_FAILURES):
            client.call("CancelTask", TaskId=task)
        raise
