"""What is known of how a request came."""

from __future__ import annotations

import pytest

from kiln.calls.origin import Origin

OWN = "127.0.0.1:8787"


@pytest.mark.parametrize("host", ["127.0.0.1:80", "localhost:8787", "kiln.lab", "[::1]:8787", "kiln_1:8787"])
def test_who_came_to_an_address_is_told_it_again(host):
    assert Origin(host=host).reached_at(OWN) == host


@pytest.mark.parametrize(
    "host", ["", "ecs.aliyuncs.com", "ecs.aliyuncs.com:443", "a/b", "a b", "<x>", "[::1", "kiln:99x", "a" * 254]
)
def test_who_said_no_address_or_one_of_the_cloud_s_is_told_the_service_s_own(host):
    assert Origin(host=host).reached_at(OWN) == OWN
