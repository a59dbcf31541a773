"""No request that is signed as it should be makes the server fail, whatever its parameters are."""

from __future__ import annotations

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from kiln.operations import ALL
from tests.clouds import REGION
from tests.fuzz import requests
from tests.fuzz.requests import WAYS

pytestmark = pytest.mark.slow

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
        target.answer(way(operation.name, params, target.clock(), format_))

    send()
