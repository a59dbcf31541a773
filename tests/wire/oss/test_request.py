"""Which requests are for OSS, and for which bucket and object."""

from __future__ import annotations

import pytest

from kiln.wire.oss.errors import InvalidArgument, OssError
from kiln.wire.oss.operations import OPERATIONS, choose
from kiln.wire.oss.request import is_for_oss, to_oss
from tests.wire.raw import raw_request

OWN = ("localhost", "kiln.example", "oss.kiln.example", "*.stack.lab", "*.oss-b.lab")


def a_request(method, target, host="127.0.0.1:8787", **headers):
    fields = [("host", host), *((name.replace("_", "-"), value) for name, value in headers.items())]
    return to_oss(raw_request(method, target, fields, b""), OWN)


@pytest.mark.parametrize(
    ("host", "target", "bucket", "name", "region"),
    [
        ("127.0.0.1:8787", "/", "", "", ""),
        ("127.0.0.1:8787", "/images", "images", "", ""),
        ("127.0.0.1:8787", "/images/", "images", "", ""),
        ("127.0.0.1:8787", "/images/a/b%20c%2Bd", "images", "a/b c+d", ""),
        ("[::1]:8787", "/images/%E5%90%8D", "images", "名", ""),
        ("localhost:8787", "/images/a", "images", "a", ""),
        ("images.localhost:8787", "/a", "images", "a", ""),
        ("images.kiln.example", "/a", "images", "a", ""),
        ("kiln.example", "/images/a", "images", "a", ""),
        ("images.oss.kiln.example", "/a", "images", "a", ""),
        ("oss.kiln.example", "/images/a", "images", "a", ""),
        ("a.b.kiln.example", "/images/a", "images", "a", ""),
        ("no_bucket.kiln.example", "/images/a", "images", "a", ""),
        ("images.oss-cn-x.env17.stack.lab:8787", "/a", "images", "a", ""),
        ("images.oss.stack.lab", "/a", "images", "a", ""),
        ("oss.stack.lab", "/images/a", "images", "a", ""),
        ("oss-cn-x.env17.stack.lab", "/images/a", "images", "a", ""),
        ("images.stack.lab", "/images/a", "images", "a", ""),
        ("images.ossuary.stack.lab", "/images/a", "images", "a", ""),
        ("images.oss-b.lab", "/a", "images", "a", ""),
        ("images.oss.elsewhere.lab", "/images/a", "images", "a", ""),
        ("images.oss-cn-hangzhou.aliyuncs.com", "/a/b", "images", "a/b", "cn-hangzhou"),
        ("images.oss-cn-hangzhou-internal.aliyuncs.com:443", "/a/b", "images", "a/b", "cn-hangzhou"),
        ("IMAGES.OSS-cn-hangzhou.aliyuncs.com", "/", "images", "", "cn-hangzhou"),
        ("images.oss-accelerate.aliyuncs.com", "/a//b", "images", "a//b", "accelerate"),
        ("images.oss.aliyuncs.com", "//a", "images", "/a", ""),
        ("oss-cn-hangzhou.aliyuncs.com", "/", "", "", "cn-hangzhou"),
        ("oss.aliyuncs.com", "/", "", "", ""),
    ],
)
def test_takes_bucket_and_object_from_host_and_path(host, target, bucket, name, region):
    found = a_request("GET", target, host)

    assert (found.bucket, found.name, found.region) == (bucket, name, region)


@pytest.mark.parametrize("target", ["/images/%FF", "/images?a=%FF", "/images?a=1&a=2", "/images?a&%61"])
def test_refuses_what_can_be_read_in_two_ways_or_in_none(target):
    with pytest.raises(InvalidArgument):
        a_request("GET", target)


@pytest.mark.parametrize(
    ("headers", "query"),
    [
        ([(b"authorization", b"OSS key:signature")], b""),
        ([(b"authorization", b"OSS4-HMAC-SHA256 Credential=")], b""),
        ([(b"authorization", b"OSS2 AccessKeyId:")], b""),
        ([(b"host", b"images.oss-cn-hangzhou.aliyuncs.com")], b""),
        ([(b"host", b"oss-cn-hangzhou.aliyuncs.com:443")], b""),
        ([], b"OSSAccessKeyId=a&Expires=1&Signature=b"),
        ([], b"a=b&x-oss-signature-version=OSS4-HMAC-SHA256"),
    ],
)
def test_knows_a_request_for_oss(headers, query):
    assert is_for_oss(headers, query)


@pytest.mark.parametrize(
    ("headers", "query"),
    [
        ([], b""),
        ([(b"host", b"ecs-cn-hangzhou.aliyuncs.com"), (b"authorization", b"ACS3-HMAC-SHA256 Credential=")], b""),
        ([(b"host", b"oss.example.com")], b"Action=ImportImage&DiskDeviceMapping.1.OSSBucket=x-oss-signature"),
        ([(b"host", b"127.0.0.1")], b"OSSBucket=OSSAccessKeyId"),
    ],
)
def test_knows_what_is_none(headers, query):
    assert not is_for_oss(headers, query)


@pytest.mark.parametrize("operation", OPERATIONS, ids=lambda one: one.name)
def test_every_operation_is_found_by_what_it_is_known_by(operation):
    path = {"service": "/", "bucket": "/images", "object": "/images/a"}[operation.on]
    query = "&".join([*operation.by, *(f"{name}=1" for name in operation.params)])
    only = {"x-oss-acl": "private", "x-oss-object-acl": "default", "x-oss-storage-class": "Standard"}
    headers = {name.replace("*", "x"): only.get(name, "1") for name in operation.headers}

    assert choose(a_request(operation.method, f"{path}?{query}", **headers)) is operation


@pytest.mark.parametrize(
    ("method", "target", "headers", "code"),
    [
        ("PUT", "/images/a?acl", {}, "NotImplemented"),
        ("GET", "/images?lifecycle", {}, "NotImplemented"),
        ("GET", "/images/a?versionId=1", {}, "NotImplemented"),
        ("GET", "/images/a?x-oss-process=image", {}, "NotImplemented"),
        ("POST", "/images/a?append&position=0", {}, "NotImplemented"),
        ("POST", "/images/a?uploads&sequential", {}, "NotImplemented"),
        ("PUT", "/images/a", {"x_oss_copy_source": "/b/c"}, "NotImplemented"),
        ("PUT", "/images/a", {"x_oss_server_side_encryption": "KMS"}, "NotImplemented"),
        ("GET", "/images/a", {"x_oss_meta_a": "b"}, "NotImplemented"),
        ("GET", "/images?unheard=1", {}, "InvalidArgument"),
        ("PUT", "/images/a?uploadId=1", {}, "InvalidArgument"),
        ("PUT", "/images/a?partNumber=1", {}, "InvalidArgument"),
        ("POST", "/images/a?uploads&uploadId=1", {}, "InvalidArgument"),
        ("GET", "/images?continuation-token=x", {}, "InvalidArgument"),
        ("GET", "/images/a?partNumber=1", {}, "NotImplemented"),
        ("POST", "/images", {}, "MethodNotAllowed"),
        ("OPTIONS", "/images/a", {}, "MethodNotAllowed"),
        ("DELETE", "/", {}, "MethodNotAllowed"),
    ],
)
def test_refuses_what_is_not_done_and_drops_nothing(method, target, headers, code):
    with pytest.raises(OssError) as refused:
        choose(a_request(method, target, **headers))

    assert refused.value.code == code
