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


def test_leaves_nothing_behind_that_was_made_ready_for_later(tmp_path):
    with assemble(read_settings({}, data=tmp_path, machines="none")) as it:
        it.pool.create("v-a0", 1024 * 1024)
        it.pool.grant("v-a0", None)
        assert it.pool.prepare() == 1

    with assemble(read_settings({}, data=tmp_path, machines="none")) as it:
        assert it.pool.leftovers() == []
