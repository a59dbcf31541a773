from __future__ import annotations

import resource

import pytest

from kiln.wire.http import bounds


@pytest.fixture
def limit():
    """The limit of open files, as it was before."""
    before = resource.getrlimit(resource.RLIMIT_NOFILE)
    yield before
    resource.setrlimit(resource.RLIMIT_NOFILE, before)


@pytest.mark.parametrize(
    ("files", "in_all", "of_peer"), [(1024, 384, 96), (256, 16, 16), (64, 16, 16), (65_536, 4096, 1024)]
)
def test_leaves_room_for_the_pool_s_own_files(files, in_all, of_peer):
    assert bounds.share(files) == bounds.Room(in_all, of_peer)


def test_raises_the_limit_of_open_files_as_far_as_it_goes(limit):
    hard = min(limit[1], 4096) if limit[1] != resource.RLIM_INFINITY else limit[1]
    resource.setrlimit(resource.RLIMIT_NOFILE, (512, limit[1]))

    room = bounds.make_room()

    soft = resource.getrlimit(resource.RLIMIT_NOFILE)[0]
    assert soft >= min(hard, 4096) > 512
    assert room == bounds.share(soft)
