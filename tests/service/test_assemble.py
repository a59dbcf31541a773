"""A Kiln put together from its settings."""

from __future__ import annotations

from kiln.service.assemble import assemble
from kiln.service.settings import read_settings


def test_offers_what_the_settings_name(tmp_path):
    settings = read_settings(
        {}, data=tmp_path, machines="none", regions="cn-hangzhou, cn-beijing", resource_groups="rg-a, rg-b,"
    )

    with assemble(settings) as it:
        offered = it.ports.deployment

    assert offered.regions == ("cn-hangzhou", "cn-beijing")
    assert offered.resource_groups == ("rg-a", "rg-b")
