from __future__ import annotations

import pytest

from kiln.service.mounts import mount_of
from tests.mounts import mounted


@pytest.mark.parametrize("name", ["tmpfs", "", "two words"])
def test_tells_of_a_mount_whatever_it_is_called(tmp_path, name):
    with mounted("-t", "tmpfs", "-o", "size=8m", name, tmp_path):
        found = mount_of(tmp_path)

    assert found is not None
    assert found.kind == "tmpfs"
    assert {"rw", "size=8192k"} <= set(found.options)
