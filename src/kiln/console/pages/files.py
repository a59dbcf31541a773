"""Disk files on their way in and out: brought by drag and drop, imported, exported, downloaded.

The browser sends parts of a file to the service's own bucket, by URLs that are
good for one part and an hour; what breaks is sent again, and what was broken off
goes on where it stopped. The bytes pass through no page, and through a console
only where the service is elsewhere.
"""

from __future__ import annotations

import re
import uuid
from collections.abc import Iterator, Mapping
from typing import NamedTuple
from urllib.parse import quote

from kiln.client.client import ApiFailure
from kiln.console.asking import Answer, go_to, query
from kiln.console.telling import told
from kiln.console.visit import NotFound, Page, Shown, Visit
from kiln.ground.clock import to_seconds_text
from kiln.ground.units import GiB, MiB

AT = "/files"
_PART = 8 * MiB
_MOST_PARTS = 10_000
_AT_ONCE = 50  #: URLs that are made at a time.
_URL_S = 3600
_NOT_THERE = 404
_LARGEST = 1 << 50  #: Bytes of a file; what is said to be longer is a mistake.
_FORMATS = {"qcow2": "QCOW2", "img": "RAW", "raw": "RAW", "vhd": "VHD", "vpc": "VHD", "vmdk": "VMDK", "vdi": "VDI"}


class File(NamedTuple):
    """An object in one of the account's two buckets."""

    bucket: str
    name: str
    size: str
    modified: str
    href: str  #: Below the console's root: where it is downloaded.
    imports: str  #: Likewise: the form by which it becomes an image; empty of an export.


def show(visit: Visit) -> Shown:
    """What lies there, and a place to drop more."""
    uploads, exports = _buckets(visit)
    return {
        "at": AT,
        "exports": exports,
        "files": [*_files(visit, uploads), *_files(visit, exports)],
    }


@told
def begin(visit: Visit) -> Mapping[str, object]:
    """Begin to bring a file of that name and size."""
    bucket, _ = _buckets(visit)
    size_bytes = _number(visit, "size", _LARGEST)
    name = f"{uuid.uuid4().hex[:12]}-{_plain(visit.asked.given('name'))}"
    objects = visit.signed.client.objects
    objects.make_bucket(bucket)
    part = max(_PART, -(-size_bytes // _MOST_PARTS))
    return {"object": name, "upload": objects.begin(bucket, name), "part": part}


@told
def find(visit: Visit) -> Mapping[str, object]:
    """Which parts of an upload have come, and how long each is."""
    bucket, _ = _buckets(visit)
    name, upload = visit.asked.given("object"), visit.asked.given("upload")
    return {"parts": visit.signed.client.objects.parts(bucket, name, upload)}


@told
def sign(visit: Visit) -> Mapping[str, object]:
    """Paths at which the next parts are to be put, for a while."""
    bucket, _ = _buckets(visit)
    name, upload = visit.asked.given("object"), visit.asked.given("upload")
    first = _number(visit, "first", _MOST_PARTS)
    numbers = range(first, min(first + _AT_ONCE, _MOST_PARTS + 1))
    objects = visit.signed.client.objects

    def path(number: int) -> str:
        of_part = {"uploadId": upload, "partNumber": str(number)}
        return visit.place.reached(objects.presign("PUT", bucket, name, of_part, _URL_S))

    return {"paths": {number: path(number) for number in numbers}}


@told
def complete(visit: Visit) -> Mapping[str, object]:
    """Have the parts be a file, and say where it becomes an image."""
    bucket, _ = _buckets(visit)
    name = visit.asked.given("object")
    visit.signed.client.objects.complete(bucket, name, visit.asked.given("upload"))
    return {"next": _import_form(bucket, name)}


def fetch(visit: Visit) -> Answer:
    """Lead the browser to a file, which it saves."""
    bucket, name = visit.args["bucket"], visit.args["name"]
    if bucket not in _buckets(visit):
        raise NotFound
    saved = {"response-content-disposition": f'attachment; filename="{_plain(name)}"'}
    path = visit.signed.client.objects.presign("GET", bucket, name, saved, _URL_S)
    return Answer(status=303, headers=(("location", visit.place.reached(path)),))


def delete(visit: Visit) -> Answer:
    """Take a file away."""
    bucket, name = visit.asked.given("bucket"), visit.asked.given("name")
    if bucket not in _buckets(visit) or not name:
        raise NotFound
    visit.signed.client.objects.delete(bucket, name)
    visit.say(visit.texts("files.deleted", file=name))
    return go_to(AT)


def _number(visit: Visit, field: str, most: int) -> int:
    """A whole number that a script sends, from 1 to *most*. Raises ValueError with what is wrong, for its page."""
    text = visit.asked.given(field)
    is_number = text.isascii() and text.isdecimal() and len(text) <= len(str(most))
    if not is_number or not 1 <= int(text) <= most:
        raise ValueError(f"{field} is a whole number from 1 to {most}, and not {text[:40]!r}")
    return int(text)


def _buckets(visit: Visit) -> tuple[str, str]:
    """The account's buckets for what comes and for what goes, the same as the command line's."""
    pseudonym = visit.signed.client.pseudonym
    return f"uploads-{pseudonym}", f"exports-{pseudonym}"


def _files(visit: Visit, bucket: str) -> Iterator[File]:
    try:
        found = visit.signed.client.objects.list(bucket)
    except ApiFailure as failure:
        if failure.status == _NOT_THERE:
            return  # Nothing has come or gone yet.
        raise
    for one in found:
        size = f"{one.size_bytes / GiB:.2f} GiB" if one.size_bytes >= GiB else f"{one.size_bytes / MiB:.1f} MiB"
        href = f"{AT}/{quote(bucket, safe='')}/{quote(one.name, safe='')}"
        imports = _import_form(bucket, one.name) if bucket == _buckets(visit)[0] else ""
        yield File(bucket, one.name, size, to_seconds_text(one.modified_at), href, imports)


def _import_form(bucket: str, name: str) -> str:
    """The form of ImportImage, with the file filled in."""
    mapping = "DiskDeviceMapping.1."
    given = {
        f"{mapping}OSSBucket": bucket,
        f"{mapping}OSSObject": name,
        f"{mapping}Format": _FORMATS.get(name.rpartition(".")[2].lower(), ""),
    }
    return f"/images/ImportImage{query(given.items())}"


def _plain(name: str) -> str:
    """A name that every file system and every header takes."""
    return re.sub(r"[^A-Za-z0-9._-]+", "_", name)[-80:] or "disk"


PAGES: tuple[Page, ...] = (
    Page(at=AT, run=show, template="files.html"),
    Page(at=f"{AT}/begin", run=begin, method="POST"),
    Page(at=f"{AT}/find", run=find, method="POST"),
    Page(at=f"{AT}/sign", run=sign, method="POST"),
    Page(at=f"{AT}/complete", run=complete, method="POST"),
    Page(at=f"{AT}/delete", run=delete, method="POST"),
    Page(at=f"{AT}/{{bucket}}/{{name}}", run=fetch),
)
