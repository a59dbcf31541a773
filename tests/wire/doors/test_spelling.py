"""What the answers of all doors have in common."""

from __future__ import annotations

import pytest
from alibabacloud_tea_openapi.utils import Utils

from kiln.declare.errors import InternalError, ServiceUnavailable
from kiln.wire import errors
from kiln.wire.doors import choose
from tests.wire.doors.given import an_acs3_request, an_apsara_request, an_asapi_request, an_rpc_request

ID = "5D0B6829-CC83-4000-8ADD-1DD549D88ABC"
DOORS = [an_rpc_request(), an_acs3_request(), an_asapi_request(), an_apsara_request()]


@pytest.mark.parametrize("request_", DOORS)
@pytest.mark.parametrize(
    ("error", "ms", "seconds"), [(ServiceUnavailable(), 2000, "2"), (errors.Throttling(), 5000, None)]
)
def test_says_when_to_come_again_in_a_way_that_the_sdk_waits_for(request_, error, ms, seconds):
    headers = dict(choose(request_).answer(request_, error, ID, None).headers)

    assert Utils.get_throttling_time_left(headers) == ms
    assert headers.get("retry-after") == seconds


@pytest.mark.parametrize("request_", DOORS)
def test_says_nothing_of_it_where_coming_again_helps_nobody(request_):
    headers = dict(choose(request_).answer(request_, InternalError(), ID, None).headers)

    assert not {"x-acs-retry-after", "retry-after"} & headers.keys()
