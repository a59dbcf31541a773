"""What every pool promises when it is killed at any point, or finds no room."""

from __future__ import annotations

import errno
import gzip
import os
import resource
import signal
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import pytest

from kiln.ground.units import KiB, MiB
from kiln.pools.errors import PoolFull
from kiln.pools.port import Pool, Succession
from tests.contract.pools import ENCRYPTING, TREE, make_tree, never, no_progress, raw_file
from tests.pools.kills import in_child, killed_at, points_of
from tests.pools.patterns import BLOCK, BLOCKS, SIZE, all_hold, believed, bring_in, holds, inspected
from tests.ring import KEY

# Kills. Each scenario is prepared, killed at every one of its points in turn, and done again by a new process.


def of_tree(pool, folder):
    make_tree(pool)


def with_source(pool, folder):
    raw_file(folder / "image", {0: 1, 9: 2})


def bring(pool, folder):
    bring_in(pool, folder / "image", believed(folder / "image", "raw", SIZE))


def with_packed(pool, folder):
    (folder / "image").write_bytes(gzip.compress(raw_file(folder / "disk", {0: 1, 9: 2}).read_bytes(), 1))


def bring_packed(pool, folder):
    with (folder / "image").open("rb") as file, pool.unpacked(file, never) as disk:
        pool.bring_in(disk, pool.inspect(disk, None), "v-image", no_progress, never)


def send(pool, folder):
    pool.send_out("v-left", folder / "sent", "raw", no_progress, never)
    for left_over in folder.glob(".tmp-*"):
        left_over.unlink()


def encrypt(pool, folder):
    pool.encrypt("v-middle", "v-copy", KEY, no_progress, never)


def absorb_and_drop(pool, folder):
    if pool.exists("v-base") and pool.parent("v-middle") == "v-base":
        pool.absorb("v-middle", None)
    pool.drop("v-base")


def absorb_in_the_midst(pool, folder):
    if pool.parent("v-left") == "v-middle":
        pool.absorb("v-left", None)


def discard(pool, folder):
    assert sorted(pool.discard(["v-left", "v-right"])) == ["v-left", "v-right"]
    assert pool.discard(["v-middle"]) == ["v-middle"]


def of_trash(pool, folder):
    make_tree(pool)
    discard(pool, folder)


def retrieve(pool, folder):
    for volume in ("v-middle", "v-left", "v-right"):
        pool.retrieve(volume)


def purge(pool, folder):
    volumes = ["v-middle", "v-left", "v-right"]
    assert sorted(pool.purge(volumes)) == sorted(volumes)
    assert list(pool.discarded()) == []


def freeze_what_was_made_ready(pool, _):
    pool.freeze([Succession("v-left", "v-left1")], None)
    pool.prepare()
    pool.freeze([Succession("v-left1", "v-left2")], None)
    assert pool.leftovers() == []


@dataclass(frozen=True)
class Scenario:
    prepare: Callable[[Pool, Path], None]
    act: Callable[[Pool, Path], None]
    expected: dict[str, dict[int, int]]
    touched: tuple[str, ...]  #: Volumes whose structure may have suffered.


LATER = {"v-middle": TREE["v-middle"], "v-left": TREE["v-left"], "v-right": TREE["v-right"]}
SCENARIOS = {
    "create": Scenario(lambda *_: None, lambda pool, _: pool.create("v-one", SIZE), {"v-one": {}}, ("v-one",)),
    "clone": Scenario(
        of_tree,
        lambda pool, _: pool.clone("v-middle", "v-more", SIZE),
        {**TREE, "v-more": TREE["v-middle"]},
        ("v-more",),
    ),
    "freeze": Scenario(
        of_tree,
        lambda pool, _: pool.freeze([Succession("v-left", "v-left1"), Succession("v-right", "v-right1")], None),
        {**TREE, "v-left1": TREE["v-left"], "v-right1": TREE["v-right"]},
        ("v-left1", "v-right1"),
    ),
    "freeze what was made ready": Scenario(
        of_tree,
        freeze_what_was_made_ready,
        {**TREE, "v-left1": TREE["v-left"], "v-left2": TREE["v-left"]},
        ("v-left1", "v-left2"),
    ),
    "resize": Scenario(of_tree, lambda pool, _: pool.resize("v-left", SIZE + BLOCK), TREE, ("v-left",)),
    "absorb and drop": Scenario(of_tree, absorb_and_drop, LATER, ("v-middle", "v-left")),
    "absorb in the midst": Scenario(of_tree, absorb_in_the_midst, TREE, ("v-left",)),
    "discard": Scenario(of_tree, discard, {"v-base": TREE["v-base"]}, ()),
    "retrieve": Scenario(of_trash, retrieve, TREE, ()),
    "purge": Scenario(of_trash, purge, {"v-base": TREE["v-base"]}, ()),
    "bring in": Scenario(with_source, bring, {"v-image": {0: 1, 9: 2}}, ("v-image",)),
    "bring in what is packed": Scenario(with_packed, bring_packed, {"v-image": {0: 1, 9: 2}}, ("v-image",)),
    "send out": Scenario(of_tree, send, TREE, ()),
}
ENCRYPTION = Scenario(of_tree, encrypt, {**TREE, "v-copy": TREE["v-middle"]}, ("v-copy",))


@pytest.mark.slow
@pytest.mark.parametrize("scenario", SCENARIOS.values(), ids=SCENARIOS)
def test_is_whole_after_a_kill_at_any_point(kind, tmp_path, scenario):
    survive_kills(kind, tmp_path, scenario)


@pytest.mark.slow
@pytest.mark.parametrize("kind", ENCRYPTING, indirect=True)
def test_is_whole_after_a_kill_at_any_point_of_an_encryption(kind, tmp_path):
    survive_kills(kind, tmp_path, ENCRYPTION)


def survive_kills(kind, tmp_path, scenario):
    prepared = tmp_path / "prepared"
    prepared.mkdir()
    scenario.prepare(kind.open(prepared), prepared)

    def start(name):
        return kind.again(prepared, tmp_path / name, scenario.prepare)

    folder = start("unharmed")
    points = points_of(lambda: scenario.act(kind.open(folder), folder))
    assert points

    for number, point in enumerate(points):
        folder = start(str(number))
        assert killed_at(number, lambda folder=folder: scenario.act(kind.open(folder), folder)), point

        pool = kind.open(folder)
        pool.sweep()
        scenario.act(pool, folder)

        assert sorted(pool.volumes()) == sorted(scenario.expected), point
        assert all_hold(pool, [(volume, blocks, BLOCKS) for volume, blocks in scenario.expected.items()]), point
        for volume in scenario.touched:
            assert pool.verify(volume) == [], (point, volume)
        assert pool.sweep() == [], point
        if (folder / "sent").exists():
            assert (folder / "sent").read_bytes() == raw_file(folder / "raw", TREE["v-left"]).read_bytes()


def test_keeps_volumes_that_it_is_still_making_from_the_sweep(pool, tmp_path):
    path = raw_file(tmp_path / "image", {0: 1})
    swept = []

    bring_in(pool, path, inspected(pool, path), progress=lambda _: swept.extend(pool.sweep()))

    assert swept == []
    assert holds(pool, "v-image", {0: 1})


# No room.

#: A cluster has no file system that could be filled; tests/pools/rbd/test_pool.py says what it does when it is full.
IN_A_FOLDER = pytest.mark.parametrize("kind", ENCRYPTING, indirect=True)

NO_ROOM = {
    "create": lambda pool, _: pool.create("v-one", SIZE),
    "clone": lambda pool, _: pool.clone("v-middle", "v-more", SIZE),
    "freeze": lambda pool, _: pool.freeze([Succession("v-left", "v-left1"), Succession("v-right", "v-right1")], None),
    "absorb": lambda pool, _: pool.absorb("v-left", None),
    "bring in": bring,
    "send out": lambda pool, folder: pool.send_out("v-left", folder / "sent", "raw", no_progress, never),
}


@IN_A_FOLDER
@pytest.mark.parametrize("left_bytes", [0, 12 * KiB], ids=lambda count: f"{count // KiB}KiB left")
@pytest.mark.parametrize("act", NO_ROOM.values(), ids=NO_ROOM)
def test_says_that_the_disk_is_full_and_leaves_nothing(kind, small_folder, act, left_bytes):
    pool = kind.open(small_folder)
    make_tree(pool)
    with_source(pool, small_folder)
    before = sorted(pool.volumes())
    fill(small_folder / "filler", left_bytes)

    fits = False
    try:
        act(pool, small_folder)
        fits = True
    except PoolFull:
        pass

    (small_folder / "filler").unlink()
    assert not (fits and left_bytes == 0)
    assert fits or sorted(pool.volumes()) == before
    assert pool.sweep() == []
    assert list(small_folder.glob(".tmp-*")) == []
    assert all(holds(pool, volume, blocks) for volume, blocks in TREE.items())
    act(pool, small_folder)


def fill(path, left_bytes):
    """Fill the file system but for *left_bytes*."""
    with path.open("wb", buffering=0) as file:
        try:
            while True:
                file.write(bytes(4 * KiB))
        except OSError as error:
            assert error.errno == errno.ENOSPC  # noqa: PT017 - the end that was waited for.
        file.truncate(file.tell() - left_bytes)


@IN_A_FOLDER
@pytest.mark.parametrize("act", NO_ROOM.values(), ids=NO_ROOM)
def test_says_that_files_may_grow_no_more_and_leaves_nothing(kind, tmp_path, act):
    """The same by a limit on the size of files, which needs no rights."""
    pool = kind.open(tmp_path)
    make_tree(pool)
    with_source(pool, tmp_path)
    before = sorted(pool.volumes())

    def act_within_a_limit():
        resource.setrlimit(resource.RLIMIT_FSIZE, (64 * KiB, 64 * KiB))
        with pytest.raises(PoolFull):
            act(pool, tmp_path)

    status = in_child(act_within_a_limit)

    assert os.waitstatus_to_exitcode(status) == 0
    assert sorted(pool.volumes()) == before
    assert pool.sweep() == []
    assert list(tmp_path.glob(".tmp-*")) == []


@IN_A_FOLDER
def test_refuses_an_image_that_would_not_fit_before_it_writes(kind, small_folder, tmp_path):
    pool = kind.open(small_folder)
    path = tmp_path / "image"
    with path.open("wb") as file:
        file.write(os.urandom(16 * MiB))
    written = []

    with pytest.raises(PoolFull, match="free"):
        bring_in(pool, path, inspected(pool, path), progress=written.append)

    assert written == []


def test_dies_of_no_signal_that_a_limit_sends():
    """Python ignores SIGXFSZ, so that a limit is an error and not an end; the tests above lean on it."""
    assert signal.getsignal(signal.SIGXFSZ) == signal.SIG_IGN
