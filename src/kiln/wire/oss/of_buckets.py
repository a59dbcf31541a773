"""Operations on the service and on buckets."""

from __future__ import annotations

from base64 import urlsafe_b64decode, urlsafe_b64encode
from xml.etree import ElementTree as ET

from kiln.buckets.listing import Listed, Page
from kiln.buckets.port import is_bucket_name
from kiln.store import buckets
from kiln.store.buckets import Bucket
from kiln.store.database import Transaction
from kiln.wire.doors.door import Answer
from kiln.wire.oss import xml
from kiln.wire.oss.call import OssCall
from kiln.wire.oss.errors import (
    BucketAlreadyExists,
    InvalidArgument,
    InvalidBucketName,
    MalformedXML,
    NoSuchBucket,
    NotServed,
    TooManyBuckets,
)

#: OSS's own limits.
MOST_BUCKETS = 100
_LEAST_LETTERS = 3
_PAGE, _PAGE_MOST = 100, 1000
_DELETED_MOST = 1000


def list_buckets(call: OssCall) -> Answer:
    """GetService: the account's own, by name."""
    prefix, marker = call.text("prefix"), call.text("marker")
    most = call.number("max-keys", _PAGE, _PAGE_MOST)
    with call.site.database.read() as tx:
        own = buckets.buckets.all(tx, account=call.key.account_id)
    there = set(call.site.buckets.names())
    found = sorted(
        (one for one in own if one.name in there and one.name.startswith(prefix) and one.name > marker),
        key=lambda one: one.name,
    )
    shown = found[:most]
    is_truncated = len(found) > most
    return xml.answer(
        "ListAllMyBucketsResult",
        ("Prefix", prefix or None),
        ("Marker", marker or None),
        ("MaxKeys", str(most) if is_truncated or prefix or marker else None),
        ("IsTruncated", xml.spell_flag(is_truncated)),
        ("NextMarker", shown[-1].name if is_truncated else None),
        ("Owner", _owner(call.key.account_id)),
        ("Buckets", [("Bucket", _facts(call, one)) for one in shown]),
    )


def put_bucket(call: OssCall) -> Answer:
    """Make a bucket the account's; one that it has already stays."""
    name = call.bucket
    if len(name) < _LEAST_LETTERS or not is_bucket_name(name):  # Before it is the account's: a refusal takes nothing.
        raise InvalidBucketName
    if call.body:
        configuration = xml.read(call.body, "CreateBucketConfiguration")
        for element in configuration:
            if (element.tag, element.text) not in {("StorageClass", "Standard"), ("DataRedundancyType", "LRS")}:
                raise NotServed(name=f"{element.tag[:100]} {(element.text or '')[:100]}")

    def work(tx: Transaction) -> None:
        row = buckets.buckets.find(tx, name=name)
        if row is None and buckets.buckets.count(tx, account=call.key.account_id) >= MOST_BUCKETS:
            raise TooManyBuckets(most=MOST_BUCKETS)
        if row is not None and row.account != call.key.account_id:
            raise BucketAlreadyExists
        buckets.claim(tx, name, call.key.account_id, call.now)

    call.site.database.write(work)
    # Whose it is comes first: a folder that is nobody's would be the first's who uses it.
    call.site.buckets.make(name)
    return Answer(200, (("location", f"/{name}"),), b"")


def delete_bucket(call: OssCall) -> Answer:
    """Remove a bucket that is empty."""
    call.site.buckets.remove(call.bucket)
    call.site.database.write(lambda tx: buckets.buckets.delete(tx, name=call.bucket), gives_back=True)
    return Answer(204, (), b"")


def get_bucket_info(call: OssCall) -> Answer:
    """What is known of a bucket."""
    with call.site.database.read() as tx:
        row = buckets.buckets.find(tx, name=call.bucket)
    if row is None:
        raise NoSuchBucket
    more: list[xml.Element] = [
        ("Owner", _owner(call.owner)),
        ("AccessControlList", [("Grant", "private")]),
        ("DataRedundancyType", "LRS"),
    ]
    return xml.answer("BucketInfo", ("Bucket", [*_facts(call, row), *more]))


def get_bucket_location(call: OssCall) -> Answer:
    """The region that the client asked by: buckets are in none."""
    return xml.answer("LocationConstraint", text=_location(call))


def get_acl(call: OssCall) -> Answer:
    """Of a bucket: its owner's alone. Whom the operator shares it with, no ACL can say."""
    return _acl(call, "private")


def get_object_acl(call: OssCall) -> Answer:
    """Of an object: that of its bucket."""
    return _acl(call, "default")


def list_objects(call: OssCall) -> Answer:
    """ListObjects, version 1."""
    encoding, marker = call.encoding(), call.text("marker")
    page, most = _page(call, marker)
    return xml.answer(
        "ListBucketResult",
        *_heading(call, most, encoding),
        ("Marker", xml.spell_name(marker, encoding)),
        ("IsTruncated", xml.spell_flag(bool(page.next))),
        ("NextMarker", xml.spell_name(page.next, encoding) if page.next else None),
        *(_contents(call, one, encoding, is_owner_told=True) for one in page.objects),
        *(("CommonPrefixes", [("Prefix", xml.spell_name(one, encoding))]) for one in page.prefixes),
    )


def list_objects_v2(call: OssCall) -> Answer:
    """ListObjects, version 2."""
    if call.request.query["list-type"] != "2":
        raise InvalidArgument(name="list-type", reason="it is 2")
    encoding, start_after = call.encoding(), call.text("start-after")
    token = call.text("continuation-token")
    page, most = _page(call, _from_token(token) if token else start_after)
    is_owner_told = call.request.query.get("fetch-owner", "").lower() == "true"
    return xml.answer(
        "ListBucketResult",
        *_heading(call, most, encoding),
        ("StartAfter", xml.spell_name(start_after, encoding) if start_after else None),
        ("ContinuationToken", token or None),
        ("KeyCount", str(len(page.objects) + len(page.prefixes))),
        ("IsTruncated", xml.spell_flag(bool(page.next))),
        ("NextContinuationToken", _to_token(page.next) if page.next else None),
        *(_contents(call, one, encoding, is_owner_told=is_owner_told) for one in page.objects),
        *(("CommonPrefixes", [("Prefix", xml.spell_name(one, encoding))]) for one in page.prefixes),
    )


def delete_multiple_objects(call: OssCall) -> Answer:
    """Delete up to a thousand objects; one that is not there counts as deleted."""
    found = xml.read(call.body, "Delete")
    names = [_key_of(one) for one in found.iter("Object")]
    if not 1 <= len(names) <= _DELETED_MOST:
        raise MalformedXML
    for name in names:
        call.site.buckets.delete_any(call.bucket, name)
    is_quiet = (found.findtext("Quiet") or "").lower() == "true"
    encoding = call.encoding()
    told = [] if is_quiet else [("Deleted", [("Key", xml.spell_name(name, encoding))]) for name in names]
    return xml.answer("DeleteResult", ("EncodingType", encoding or None), *told)


def _key_of(element: ET.Element) -> str:
    if element.find("VersionId") is not None:
        raise NotServed(name="VersionId")
    name = element.findtext("Key")
    if not name:
        raise MalformedXML
    return name


def _page(call: OssCall, after: str) -> tuple[Page, int]:
    most = call.number("max-keys", _PAGE, _PAGE_MOST)
    page = call.site.buckets.page(
        call.bucket, prefix=call.text("prefix"), after=after, delimiter=call.text("delimiter"), most=most
    )
    return page, most


def _heading(call: OssCall, most: int, encoding: str) -> tuple[xml.Element, ...]:
    return (
        ("Name", call.bucket),
        ("Prefix", xml.spell_name(call.text("prefix"), encoding)),
        ("MaxKeys", str(most)),
        ("Delimiter", xml.spell_name(call.text("delimiter"), encoding)),
        ("EncodingType", encoding or None),
    )


def _contents(call: OssCall, one: Listed, encoding: str, *, is_owner_told: bool) -> xml.Element:
    return "Contents", (
        ("Key", xml.spell_name(one.name, encoding)),
        ("LastModified", xml.spell_time(one.modified_at)),
        ("ETag", f'"{one.facts.etag}"'),
        ("Type", one.facts.kind),
        ("Size", str(one.size_bytes)),
        ("StorageClass", "Standard"),
        ("Owner", _owner(call.owner) if is_owner_told else None),
    )


def _acl(call: OssCall, grant: str) -> Answer:
    return xml.answer("AccessControlPolicy", ("Owner", _owner(call.owner)), ("AccessControlList", [("Grant", grant)]))


def _facts(call: OssCall, row: Bucket) -> list[xml.Element]:
    """What lists and descriptions say of a bucket: the endpoint is what the client called this one."""
    return [
        ("Name", row.name),
        ("Location", _location(call)),
        ("Region", _location(call).removeprefix("oss-")),
        ("CreationDate", xml.spell_time(row.created_at)),
        ("ExtranetEndpoint", call.request.host),
        ("IntranetEndpoint", call.request.host),
        ("StorageClass", "Standard"),
    ]


def _location(call: OssCall) -> str:
    region = call.request.region
    return f"oss-{call.site.region if region in ('', 'accelerate', 'accelerate-overseas') else region}"


def _owner(account: str) -> tuple[xml.Element, ...]:
    return ("ID", account), ("DisplayName", account)


def _to_token(name: str) -> str:
    return urlsafe_b64encode(name.encode()).decode()


def _from_token(token: str) -> str:
    try:
        return urlsafe_b64decode(token.encode()).decode()
    except ValueError:
        raise InvalidArgument(name="continuation-token", reason="no listing gave it") from None
