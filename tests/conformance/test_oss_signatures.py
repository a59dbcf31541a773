"""Signatures of OSS as its maker publishes them: worked examples of its descriptions, and of the tests of its SDKs."""

from __future__ import annotations

import oss2
import pytest
from oss2.http import Request

from kiln.wire.key import Key
from kiln.wire.oss.errors import OssError, SignatureDoesNotMatch
from kiln.wire.oss.proof import prove
from kiln.wire.oss.request import to_oss
from kiln.wire.signatures import oss
from tests.wire.raw import raw_request

#: Of Alibaba Cloud's descriptions of version 1, in the header and in the URL.
KEY_1, SECRET_1 = "44CF9590006BF252F707", "OtxrzxIsfpFjA7SwPzILwy8Bw21TLhquhboDYROV"
#: Of what the SDKs for Go, Python, PHP, C++ and C# are tested with.
KEY_4, SECRET_4 = "ak", "sk"
PARAMS_4 = {"param1": "value1", "+param1": "value3", "|param1": "value4", "+param2": "", "|param2": "", "param2": ""}
QUERY_4 = "param1=value1&%2Bparam1=value3&%7Cparam1=value4&%2Bparam2&%7Cparam2&param2"
HEADERS_4 = {"x-oss-head1": "value", "abc": "value", "zabc": "value", "xyz": "value"}
TARGET_4 = "/1234%2B-/123/1.txt"
HOST_4 = "bucket.oss-cn-hangzhou.aliyuncs.com"


class Only:
    """Credentials that know both keys, and take any token for a session's."""

    def access_key(self, key_id):
        secret = {KEY_1: SECRET_1, KEY_4: SECRET_4}.get(key_id)
        return None if secret is None else Key(id=key_id, secret=secret, account_id="acme")

    def session(self, token):
        return None

    def app(self, app_key):
        return None


def a_request(method, target, host, headers):
    fields = [("host", host), *headers.items()]
    return to_oss(raw_request(method, target, fields, b""), ())


def test_version_1_of_a_header():
    headers = {
        "content-md5": "ODBGOERFMDMzQTczRUY3NUE3NzA5QzdFNUYzMDQxNEM=",
        "content-type": "text/html",
        "x-oss-meta-author": "foo@bar.com",
        "x-oss-magic": "abracadabra",
    }
    date = "Thu, 17 Nov 2005 18:49:58 GMT"

    stages = oss.version_1("PUT", "/oss-example/nelson", query={}, headers=headers, date=date, secret=SECRET_1)

    assert stages.canonical == "x-oss-magic:abracadabra\nx-oss-meta-author:foo@bar.com\n/oss-example/nelson"
    assert stages.string_to_sign.startswith("PUT\nODBGOERFMDMzQTczRUY3NUE3NzA5QzdFNUYzMDQxNEM=\ntext/html\nThu, 17 Nov")
    assert stages.signature == "26NBxoKdsyly4EDv6inkoDft/yA="


@pytest.mark.parametrize("target", ["/nelson", "/oss-example/nelson"])
def test_admits_version_1_of_a_header_whichever_way_the_bucket_is_named(target):
    host = "oss-example.oss-cn-hangzhou.aliyuncs.com" if target == "/nelson" else "127.0.0.1:8787"
    headers = {
        "content-md5": "ODBGOERFMDMzQTczRUY3NUE3NzA5QzdFNUYzMDQxNEM=",
        "content-type": "text/html",
        "date": "Thu, 17 Nov 2005 18:49:58 GMT",
        "x-oss-meta-author": "foo@bar.com",
        "x-oss-magic": "abracadabra",
        "authorization": f"OSS {KEY_1}:26NBxoKdsyly4EDv6inkoDft/yA=",
    }

    assert prove(a_request("PUT", target, host, headers), Only(), 1132253398.0).account_id == "acme"


def test_admits_version_1_of_a_url():
    target = f"/oss-api.pdf?OSSAccessKeyId={KEY_1}&Expires=1141889120&Signature=EwaNTn1erJGkimiJ9WmXgwnANLc%3D"
    request = a_request("GET", target, "oss-example.oss-cn-hangzhou.aliyuncs.com", {})

    assert prove(request, Only(), 1141889060.0).account_id == "acme"
    with pytest.raises(OssError, match="expired"):
        prove(request, Only(), 1141889121.0)


@pytest.mark.parametrize(
    ("at", "time", "additional", "signature"),
    [
        (1702743657, "20231216T162057Z", "", "e21d18daa82167720f9b1047ae7e7f1ce7cb77a31e8203a7d5f4624fa0284afe"),
        (
            1702747512,
            "20231216T172512Z",
            "abc;zabc",
            "4a4183c187c07c8947db7620deb0a6b38d9fbdd34187b6dbaccb316fa251212f",
        ),
    ],
)
def test_admits_version_4_of_a_header(at, time, additional, signature):
    names = f"AdditionalHeaders={additional}," if additional else ""
    headers = {
        **HEADERS_4,
        "content-type": "text/plain",
        "x-oss-content-sha256": "UNSIGNED-PAYLOAD",
        "x-oss-date": time,
        "authorization": (
            f"OSS4-HMAC-SHA256 Credential=ak/20231216/cn-hangzhou/oss/aliyun_v4_request,{names}Signature={signature}"
        ),
    }
    request = a_request("PUT", f"{TARGET_4}?{QUERY_4}", HOST_4, headers)

    assert request.query == PARAMS_4
    assert prove(request, Only(), float(at)).account_id == "acme"
    for touched in (
        headers | {"x-oss-head1": "other"},
        headers | {"content-type": "text/html"},
        *([headers | {"abc": "other"}] if additional else []),
    ):
        with pytest.raises(SignatureDoesNotMatch):
            prove(a_request("PUT", f"{TARGET_4}?{QUERY_4}", HOST_4, touched), Only(), float(at))


@pytest.mark.parametrize(
    ("at", "time", "additional", "signature"),
    [
        (1702781677, "20231217T025437Z", "", "a39966c61718be0d5b14e668088b3fa07601033f6518ac7b523100014269c0fe"),
        (
            1702783809,
            "20231217T033009Z",
            "abc%3Bzabc",
            "6bd984bfe531afb6db1f7550983a741b103a8c58e5e14f83ea474c2322dfa2b7",
        ),
    ],
)
def test_admits_version_4_of_a_url(at, time, additional, signature):
    names = f"&x-oss-additional-headers={additional}" if additional else ""
    target = (
        f"{TARGET_4}?{QUERY_4}&x-oss-signature-version=OSS4-HMAC-SHA256&x-oss-date={time}&x-oss-expires=599{names}"
        f"&x-oss-credential=ak%2F20231217%2Fcn-hangzhou%2Foss%2Faliyun_v4_request&x-oss-signature={signature}"
    )
    headers = {**HEADERS_4, "content-type": "application/octet-stream"}
    request = a_request("PUT", target, HOST_4, headers)

    assert prove(request, Only(), float(at)).account_id == "acme"
    with pytest.raises(OssError, match="expired"):
        prove(request, Only(), at + 600.0)
    with pytest.raises(SignatureDoesNotMatch):
        prove(a_request("GET", target, HOST_4, headers), Only(), float(at))


def test_computes_what_the_sdk_does_of_names_that_are_no_ascii():
    for auth in (oss2.Auth(KEY_4, SECRET_4), oss2.AuthV4(KEY_4, SECRET_4)):
        request = Request(
            "PUT",
            "http://127.0.0.1:1/bucket/%E5%90%8D%20a%2Bb",
            params={"partNumber": "1", "uploadId": "AB/C+", "empty": ""},
            headers={"x-oss-meta-who": "me", "Content-Type": "x/y"},
            region="cn-hangzhou",
            product="oss",
        )
        auth._sign_request(request, "bucket", "名 a+b")
        headers = {name.lower(): value for name, value in request.headers.items() if value}
        target = "/bucket/%E5%90%8D%20a%2Bb?partNumber=1&uploadId=AB%2FC%2B&empty="

        asked = a_request("PUT", target, "127.0.0.1:1", headers)

        assert (asked.bucket, asked.name) == ("bucket", "名 a+b")
        assert prove(asked, Only(), oss2.utils.http_to_unixtime(oss2.utils.http_date())).id == KEY_4
