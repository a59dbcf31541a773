from __future__ import annotations

import pytest

from kiln.cli.naming import is_id
from kiln.declare.ids import new_id


@pytest.mark.parametrize("noun", ["image", "instance", "disk", "snapshot", "task"])
def test_knows_a_whole_id_by_its_form(noun):
    assert is_id(noun, new_id(noun))
    assert not is_id(noun, new_id(noun)[:-1])
    assert not is_id(noun, new_id("resource_group"))
