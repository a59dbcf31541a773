"""Operations on uploads of objects in parts."""

from __future__ import annotations

from collections.abc import Sequence

from kiln.buckets.parts import MOST_PARTS
from kiln.buckets.uploads import Upload
from kiln.wire.doors.door import Answer
from kiln.wire.oss import xml
from kiln.wire.oss.call import OssCall
from kiln.wire.oss.errors import InvalidArgument, MalformedXML
from kiln.wire.oss.of_objects import (
    compare_md5,
    kept_headers,
    named,
    require_new,
    told_crc,
    told_md5,
    told_sums,
)

_PAGE_MOST = 1000


class IncomingPart:
    """UploadPart: see ``call.Incoming``."""

    def __init__(self, call: OssCall, length: int | None) -> None:
        self._call = call
        number = call.number("partNumber", 0, MOST_PARTS)
        if not number:
            raise InvalidArgument(name="partNumber", reason=f"it is a number from 1 to {MOST_PARTS}")
        self._md5 = told_md5(call.request.fields)
        upload_id = call.request.query["uploadId"]
        self._draft = call.site.uploads.draft(call.bucket, call.name, upload_id, number, length)

    def write(self, piece: bytes) -> None:
        """See the port."""
        self._draft.write(piece)

    def keep(self) -> Answer:
        """See the port."""
        compare_md5(self._md5, self._draft.sums)
        self._draft.keep(self._call.site.clock())
        return Answer(200, told_sums(self._draft.sums), b"")

    def drop(self) -> None:
        """See the port."""
        self._draft.drop()


def initiate(call: OssCall) -> Answer:
    """Begin an upload."""
    encoding = call.encoding()
    if call.is_new_only():
        require_new(call)
    upload = call.site.uploads.begin(call.bucket, named(call), kept_headers(call), call.now)
    return xml.answer("InitiateMultipartUploadResult", *_whose(call, encoding), ("UploadId", upload.id))


def complete(call: OssCall) -> Answer:
    """Make the object."""
    encoding = call.encoding()
    asks_for_all = call.request.fields.get("x-oss-complete-all", "").lower()
    if asks_for_all not in ("", "yes") or (asks_for_all and call.body):
        raise InvalidArgument(name="x-oss-complete-all", reason="it is yes, and then there is no list of parts")
    wanted = None if asks_for_all else _wanted(call.body)
    upload_id = call.request.query["uploadId"]
    facts = call.site.uploads.complete(call.bucket, call.name, upload_id, wanted, is_new_only=call.is_new_only())
    whose = call.request
    place = (
        f"{whose.bucket}.{whose.host}/{whose.name}" if whose.by_host else f"{whose.host}/{whose.bucket}/{whose.name}"
    )
    return xml.answer(
        "CompleteMultipartUploadResult",
        ("EncodingType", encoding or None),
        ("Location", xml.spell_name(f"http://{place}", encoding)),
        *_whose(call, encoding),
        ("ETag", f'"{facts.etag}"'),
        headers=(("etag", f'"{facts.etag}"'), *told_crc(facts.crc64)),
    )


def abort(call: OssCall) -> Answer:
    """Give an upload up."""
    call.site.uploads.abort(call.bucket, call.name, call.request.query["uploadId"])
    return Answer(204, (), b"")


def list_parts(call: OssCall) -> Answer:
    """What has come of an upload."""
    encoding = call.encoding()
    upload_id = call.request.query["uploadId"]
    most = call.number("max-parts", _PAGE_MOST, _PAGE_MOST)
    after = call.number("part-number-marker", 0, MOST_PARTS, least=0)
    behind = [one for one in call.site.uploads.parts(call.bucket, call.name, upload_id) if one.number > after]
    shown = behind[:most]
    return xml.answer(
        "ListPartsResult",
        ("EncodingType", encoding or None),
        *_whose(call, encoding),
        ("UploadId", upload_id),
        ("PartNumberMarker", str(after)),
        ("NextPartNumberMarker", str(shown[-1].number if shown else 0)),
        ("MaxParts", str(most)),
        ("IsTruncated", xml.spell_flag(len(behind) > most)),
        *(
            (
                "Part",
                (
                    ("PartNumber", str(one.number)),
                    ("LastModified", xml.spell_time(one.modified_at)),
                    ("ETag", f'"{one.etag}"'),
                    ("HashCrc64ecma", None if one.crc64 is None else str(one.crc64)),
                    ("Size", str(one.size_bytes)),
                ),
            )
            for one in shown
        ),
    )


def list_uploads(call: OssCall) -> Answer:
    """The uploads of a bucket that are open."""
    encoding, prefix = call.encoding(), call.text("prefix")
    key_marker, id_marker = call.text("key-marker"), call.text("upload-id-marker")
    most = call.number("max-uploads", _PAGE_MOST, _PAGE_MOST)
    if call.text("delimiter"):
        raise InvalidArgument(name="delimiter", reason="uploads are listed one by one")
    behind = [one for one in call.site.uploads.all(call.bucket) if _is_behind(one, key_marker, id_marker)]
    found = [one for one in behind if one.name.startswith(prefix)]
    shown = found[:most]
    last = shown[-1] if len(found) > most else None
    return xml.answer(
        "ListMultipartUploadsResult",
        ("EncodingType", encoding or None),
        ("Bucket", call.bucket),
        ("KeyMarker", xml.spell_name(key_marker, encoding)),
        ("UploadIdMarker", id_marker),
        ("NextKeyMarker", xml.spell_name(last.name, encoding) if last else ""),
        ("NextUploadIdMarker", last.id if last else ""),
        ("Delimiter", ""),
        ("Prefix", xml.spell_name(prefix, encoding)),
        ("MaxUploads", str(most)),
        ("IsTruncated", xml.spell_flag(last is not None)),
        *(
            (
                "Upload",
                (
                    ("Key", xml.spell_name(one.name, encoding)),
                    ("UploadId", one.id),
                    ("StorageClass", "Standard"),
                    ("Initiated", xml.spell_time(one.begun_at)),
                ),
            )
            for one in shown
        ),
    )


def _is_behind(one: Upload, key_marker: str, id_marker: str) -> bool:
    """Without a name, the marker of IDs says nothing."""
    return one.name > key_marker or (bool(key_marker and id_marker) and one.name == key_marker and one.id > id_marker)


def _whose(call: OssCall, encoding: str) -> tuple[xml.Element, ...]:
    return ("Bucket", call.bucket), ("Key", xml.spell_name(call.name, encoding))


def _wanted(body: bytes) -> Sequence[tuple[int, str]]:
    """Raises MalformedXML."""
    wanted = []
    for part in xml.read(body, "CompleteMultipartUpload"):
        number, etag = part.findtext("PartNumber") or "", part.findtext("ETag")
        if part.tag != "Part" or not number.strip().isdecimal() or len(number) > 9 or not etag:  # noqa: PLR2004 - digits.
            raise MalformedXML
        wanted.append((int(number), etag.strip()))
    if not 1 <= len(wanted) <= MOST_PARTS:
        raise MalformedXML
    return wanted
