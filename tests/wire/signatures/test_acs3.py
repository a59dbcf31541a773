from __future__ import annotations

import pytest

from kiln.wire.signatures import acs3


def test_takes_an_authorization_header_apart():
    header = "ACS3-HMAC-SHA256 Credential=AK,SignedHeaders=host;x-acs-date,Signature=0a1b"

    assert acs3.find_authorization(header) == ("ACS3-HMAC-SHA256", "AK", "host;x-acs-date", "0a1b")


@pytest.mark.parametrize(
    "header",
    [
        "",
        "Bearer abc",
        "ACS3-HMAC-SHA256",
        "ACS3-HMAC-SHA256 Credential=AK,SignedHeaders=host",
        "ACS3-HMAC-SHA256 Credential=,SignedHeaders=host,Signature=0a",
        "ACS3-HMAC-SHA256 SignedHeaders=host,Credential=AK,Signature=0a",
        "ACS3-HMAC-SHA256 Credential=AK,SignedHeaders=host,Signature=0a,More=1",
    ],
)
def test_finds_no_authorization_in_another_form(header):
    assert acs3.find_authorization(header) is None


def test_signs_header_values_without_the_blanks_around_them():
    stages = acs3.stages(
        method="GET",
        path="/",
        query={},
        headers={"host": "h", "x-acs-date": "  d "},
        signed_headers="host;x-acs-date",
        body_hash="e3",
        secret="secret",
    )

    assert stages.canonical == "GET\n/\n\nhost:h\nx-acs-date:d\n\nhost;x-acs-date\ne3"


@pytest.mark.parametrize("algorithm", acs3.ALGORITHMS)
def test_signs_for_our_own_client(algorithm):
    headers = acs3.sign(
        method="POST",
        host="h",
        action="DescribeImages",
        version="2014-05-26",
        query={"A": "b"},
        body=b"C=d",
        content_type="application/x-www-form-urlencoded",
        key_id="AK",
        secret="secret",
        date="2026-11-23T06:42:20Z",
        nonce="n",
        algorithm=algorithm,
    )

    authorization = acs3.find_authorization(headers["authorization"])
    assert authorization is not None
    assert authorization.algorithm == algorithm
    assert authorization.signed_headers == (
        "content-type;host;x-acs-action;x-acs-content-sha256;x-acs-date;x-acs-signature-nonce;x-acs-version"
    )
    assert headers["x-acs-content-sha256"] == acs3.hash_body(algorithm, b"C=d")
