"""Requests signed by the code of the official SDKs, admitted by our doors."""

from __future__ import annotations

import time
from types import SimpleNamespace

import pytest
from alibabacloud_tea_openapi.utils import Utils
from aliyunsdkcore.auth.composer import rpc_signature_composer

from kiln.wire.signatures.stages import canonical_query
from tests.wire.doors.given import FORM, STAMP, a_nonce, a_query, admit, rpc_params, without
from tests.wire.raw import raw_request

PARAMS = {"ImageName": "a b+c*~/中文", "Tag.1.Value": "", "RegionId": "cn-qingdao-env17-d01"}


@pytest.mark.parametrize("method", ["GET", "POST"])
@pytest.mark.parametrize("form", [{}, {"Description": "a=b&c%20"}])
def test_admits_what_the_classic_sdk_signs(method, form):
    query = {"Action": "DescribeImages", "Version": "2014-05-26", **PARAMS}
    url, _ = rpc_signature_composer.get_signed_url(query, "AKIDTEST", "SECRETTEST", "JSON", method, form)
    body = canonical_query(form).encode()
    request = raw_request(method, url, [("content-type", FORM)], body)

    admitted = admit(request, now=time.time())

    assert admitted.params == PARAMS | form


def test_admits_what_the_current_sdk_signs_as_rpc():
    params = without(rpc_params(), "Signature")
    params["Signature"] = Utils.get_rpcsignature(params, "POST", "SECRETTEST")

    assert admit(a_query(params)).key.action == "DescribeImages"


@pytest.mark.parametrize("algorithm", ["ACS3-HMAC-SHA256", "ACS3-HMAC-SM3"])
@pytest.mark.parametrize("body", [b"", b"Description=a+b%26&DryRun=true"])
def test_admits_what_the_current_sdk_signs(algorithm, body):
    body_hash = Utils.hash(body, algorithm).hex()
    headers = {
        "host": "127.0.0.1:8787",
        "x-acs-action": "DescribeImages",
        "x-acs-version": "2014-05-26",
        "x-acs-date": STAMP,
        "x-acs-signature-nonce": a_nonce(),
        "x-acs-content-sha256": body_hash,
        "accept": "application/json",
        "user-agent": "  AlibabaCloud (linux; x86_64) ",
        "content-type": FORM,
    }
    unsent = SimpleNamespace(method="POST", pathname="/", query=PARAMS, headers=headers)
    headers["authorization"] = Utils.get_authorization(unsent, algorithm, body_hash, "AKIDTEST", "SECRETTEST")
    # The SDK signs a space as %20 and sends it as "+".
    target = "/?" + canonical_query(PARAMS).replace("%20", "+")
    request = raw_request("POST", target, list(headers.items()), body)

    admitted = admit(request)

    assert admitted.params == PARAMS | ({"Description": "a b&", "DryRun": "true"} if body else {})
