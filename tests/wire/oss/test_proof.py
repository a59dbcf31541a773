"""Who is let in, and in which words others are not."""

from __future__ import annotations

from email.utils import formatdate

import pytest

from kiln.calls.sessions import Session
from kiln.wire.key import Key
from kiln.wire.oss.errors import OssError
from kiln.wire.oss.proof import prove
from kiln.wire.oss.request import to_oss
from kiln.wire.signatures import oss
from tests.wire.raw import raw_request

NOW = 1_795_000_000.0
TIME = "20261118T110640Z"
SESSION = Session(role="r", name="n", parent="AK", expires_at=NOW + 60)


class Keys:
    """One key, one that is off, and one that is for a while."""

    def access_key(self, key_id):
        if key_id not in {"AK", "OFF"}:
            return None
        return Key(id=key_id, secret="SK", account_id="acme", active=key_id == "AK")

    def session(self, token):
        return Key(id="STS.1", secret="SK", account_id="acme", session=SESSION) if token == "token" else None

    def app(self, app_key):
        return None


def version_1(key="AK", at=NOW, token=None, secret="SK", **more):
    headers = {"date": formatdate(at, usegmt=True)} | ({"x-oss-security-token": token} if token else {})
    stages = oss.version_1("GET", "/b/o", query={}, headers=headers, date=headers["date"], secret=secret)
    return headers | {"authorization": f"OSS {key}:{stages.signature}"} | more


def version_4(key="AK", time=TIME, day=TIME[:8], product="oss", **more):
    headers = {"x-oss-date": time, "x-oss-content-sha256": "UNSIGNED-PAYLOAD"} | more
    credential = oss.Credential(key, day, "cn-hangzhou", product)
    stages = oss.version_4("GET", "/b/o", {}, headers, additional=(), time=time, credential=credential, secret="SK")
    told = f"Credential={key}/{credential.scope},Signature={stages.signature}"
    return headers | {"authorization": f"{oss.ALGORITHM} {told}"}


def proved(headers, now=NOW, target="/b/o"):
    fields = [("host", "127.0.0.1"), *headers.items()]
    return prove(to_oss(raw_request("GET", target, fields, b""), ()), Keys(), now)


@pytest.mark.parametrize(
    "headers",
    [
        version_1(),
        version_1(at=NOW - 899),
        version_1(at=NOW + 899),
        version_1("STS.1", token="token"),
        version_1("STS.1") | {"security-token": "token"},
        version_4(),
        version_4("STS.1", **{"x-oss-security-token": "token"}),
        version_4(**{"content-type": "x/y"}),
    ],
)
def test_lets_in_who_signs(headers):
    assert proved(headers).account_id == "acme"


@pytest.mark.parametrize(
    ("headers", "code", "status"),
    [
        ({}, "AccessDenied", 403),
        (version_1("NOBODY"), "InvalidAccessKeyId", 403),
        (version_1("OFF"), "InvalidAccessKeyId", 403),
        (version_1(secret="other"), "SignatureDoesNotMatch", 403),
        (version_1(at=NOW - 901), "RequestTimeTooSkewed", 403),
        (version_1(at=NOW + 901), "RequestTimeTooSkewed", 403),
        (version_1() | {"date": "yesterday"}, "AccessDenied", 403),
        ({"authorization": "OSS AK:x"}, "AccessDenied", 403),
        ({"authorization": "OSS AK"}, "InvalidArgument", 400),
        ({"authorization": "OSS2 AccessKeyId:AK,Signature:x"}, "InvalidArgument", 400),
        (version_1("STS.1"), "InvalidSecurityToken", 403),
        (version_1("STS.1", token="other"), "InvalidSecurityToken", 403),
        (version_1("AK", token="token"), "InvalidSecurityToken", 403),
        (version_1(**{"x-oss-meta-a": "b"}), "SignatureDoesNotMatch", 403),
        (version_4("NOBODY"), "InvalidAccessKeyId", 403),
        (version_4(time="20261118T105139Z"), "RequestTimeTooSkewed", 403),
        (version_4(day="20261117"), "InvalidArgument", 400),
        (version_4(product="ecs"), "InvalidArgument", 400),
        (version_4(**{"x-oss-content-sha256": "0" * 64}), "InvalidArgument", 400),
        (version_4() | {"x-oss-date": "now"}, "AccessDenied", 403),
        (version_4() | {"content-type": "x/y"}, "SignatureDoesNotMatch", 403),
        ({"authorization": f"{oss.ALGORITHM} Credential=AK,Signature=x"}, "InvalidArgument", 400),
        ({"authorization": f"{oss.ALGORITHM} nothing"}, "InvalidArgument", 400),
    ],
)
def test_lets_nobody_else_in(headers, code, status):
    with pytest.raises(OssError) as refused:
        proved(headers)

    assert (refused.value.code, refused.value.status) == (code, status)


def test_says_of_a_token_whose_time_is_over_that_it_is():
    with pytest.raises(OssError) as refused:
        proved(version_1("STS.1", token="token", at=NOW + 61), NOW + 61)

    assert refused.value.code == "SecurityTokenExpired"


@pytest.mark.parametrize(
    ("query", "code"),
    [
        ("OSSAccessKeyId=AK&Expires=soon&Signature=x", "AccessDenied"),
        ("OSSAccessKeyId=AK&Expires=1&Signature=x", "AccessDenied"),
        (f"OSSAccessKeyId=AK&Expires={int(NOW) + 9}", "AccessDenied"),
        (f"OSSAccessKeyId=AK&Expires={int(NOW) + 9}&Signature=x", "SignatureDoesNotMatch"),
        ("x-oss-signature-version=OSS2", "InvalidArgument"),
        ("x-oss-signature-version=OSS4-HMAC-SHA256", "InvalidArgument"),
    ],
)
def test_refuses_urls_that_nobody_presigned(query, code):
    with pytest.raises(OssError) as refused:
        proved({}, target=f"/b/o?{query}")

    assert refused.value.code == code


@pytest.mark.parametrize(
    ("time", "expires", "code"),
    [
        (TIME, "0", "InvalidArgument"),
        (TIME, "604801", "InvalidArgument"),
        (TIME, "x", "InvalidArgument"),
        ("20261118T120640Z", "60", "RequestTimeTooSkewed"),
        ("20261118T105640Z", "60", "AccessDenied"),
        (TIME, "60", "SignatureDoesNotMatch"),
    ],
)
def test_refuses_urls_of_version_4_outside_of_their_time(time, expires, code):
    credential = f"AK%2F{time[:8]}%2Fr%2Foss%2Faliyun_v4_request"
    query = f"x-oss-signature-version={oss.ALGORITHM}&x-oss-date={time}&x-oss-expires={expires}&x-oss-signature=x"

    with pytest.raises(OssError) as refused:
        proved({}, target=f"/b/o?{query}&x-oss-credential={credential}")

    assert refused.value.code == code
