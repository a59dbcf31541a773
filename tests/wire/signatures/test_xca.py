from __future__ import annotations

from kiln.wire.signatures import xca


def test_signs_named_headers_in_order_and_leaves_out_those_that_have_their_place():
    listed = "X-Ca-Timestamp, X-Ca-Key,,Date,X-Ca-Signature,X-Ca-Signature-Headers,Accept,X-Ca-Key"

    assert xca.named_headers(listed) == ["X-Ca-Key", "X-Ca-Timestamp"]


def test_keeps_the_line_of_a_header_that_is_not_there():
    stages = xca.stages("GET", "/p", {}, {"accept": "a", "x-ca-key": "k"}, ["X-Ca-Key", "X-Ca-Stage"], secret="s")

    assert stages.string_to_sign == "GET\na\n\n\n\nX-Ca-Key:k\nX-Ca-Stage:\n/p"


def test_signs_parameters_raw_and_an_empty_one_as_its_bare_name():
    stages = xca.stages("GET", "/p", {"b": "x y/中", "a": "", "B": "&"}, {}, [], secret="s")

    assert stages.canonical == "/p?B=&&a&b=x y/中"


def test_signs_for_our_own_client():
    headers = xca.sign(
        path="/p", params={"a": "1"}, app_key="k", secret="s", timestamp_ms=1, nonce="n", headers={"UserEmail": "a@b.c"}
    )

    assert headers["x-ca-signature-headers"] == "useremail,x-ca-key,x-ca-nonce,x-ca-timestamp,x-ca-version"
    named = xca.named_headers(headers["x-ca-signature-headers"])
    assert headers["x-ca-signature"] == xca.stages("POST", "/p", {"a": "1"}, headers, named, secret="s").signature
