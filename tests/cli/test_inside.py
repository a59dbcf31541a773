from __future__ import annotations

import pytest
import typer

from kiln.cli import inside


def test_tells_the_instance_from_the_path():
    assert inside.split_target("web:/etc/a:b") == ("web", "/etc/a:b")


@pytest.mark.parametrize("target", ["web", ":/etc", "web:etc", "/etc/app"])
def test_refuses_a_target_without_instance_or_path(target):
    with pytest.raises(typer.BadParameter, match="INSTANCE:/PATH"):
        inside.split_target(target)
