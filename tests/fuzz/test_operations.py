"""No request that is signed as it should be makes the server fail, whatever its parameters are."""

from __future__ import annotations

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from kiln.operations import ALL
from tests.catalogue import title_of
from tests.clouds import REGION
from tests.fuzz import requests
from tests.fuzz.requests import WAYS, by_acs3
from tests.promises import check_answer

pytestmark = pytest.mark.slow

#: What doors add to an answer.
ENVELOPE = {"RequestId", "RequestID", "asapiSuccess", "asapiRequestId", "eagleEyeTraceId"}

#: The target forgets, so one may serve every example.
examples = settings(
    max_examples=30, deadline=None, database=None, suppress_health_check=list(HealthCheck), print_blob=True
)


@pytest.mark.parametrize("operation", ALL, ids=lambda operation: operation.name)
def test_no_parameters_make_the_server_fail(target, operation):
    @examples
    @given(
        params=requests.parameters(operation, target.known, REGION),
        way=st.sampled_from(WAYS),
        format_=st.sampled_from(["JSON", "XML"]),
    )
    def send(params, way, format_):
        status, told = target.answer(way(title_of(operation), params, target.clock(), format_))

        if status == 200 and (format_ == "JSON" or way is by_acs3):
            check_answer(operation.output, {name: told[name] for name in told.keys() - ENVELOPE})

    send()
