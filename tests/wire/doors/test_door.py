from __future__ import annotations

import pytest

from kiln.wire.doors import choose
from kiln.wire.key import Key
from tests.wire.doors.given import an_acs3_request, an_apsara_request, an_asapi_request, an_rpc_request
from tests.wire.raw import raw_request


@pytest.mark.parametrize(
    ("request_", "name"),
    [
        (an_rpc_request(), "rpc"),
        (an_acs3_request(), "acs3"),
        (an_asapi_request(), "asapi"),
        (an_asapi_request(path="/", headers={"x-ascm-sign-version": "1.0"}), "rpc"),
        (an_asapi_request(path="/", headers={"x-acs-asapi-product": "ecs"}), "rpc"),
        (an_asapi_request(path="/"), "rpc"),
        (an_apsara_request(), "apsara"),
        (raw_request("GET", "/anything", [], b""), "rpc"),
        (raw_request("POST", "/?Action=A", [("x-acs-action", "A")], b""), "rpc"),
    ],
)
def test_chooses_the_door_by_authorization_and_path(request_, name):
    assert choose(request_).name == name


def test_joins_repeated_headers_and_reads_utf8():
    request = raw_request("GET", "/", [("a", "2"), ("a", "1"), ("b", "中".encode().decode("latin-1"))], b"")

    assert request.fields == {"a": "1,2", "b": "中"}


def test_leaves_a_header_that_is_not_utf8_as_it_is():
    assert raw_request("GET", "/", [("a", "\xff")], b"").fields == {"a": "\xff"}


def test_shows_no_secret():
    assert "SECRET" not in repr(Key(id="AK", secret="SECRET", account_id="acme"))
