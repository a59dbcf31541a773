"""What every pool promises. A new kind of pool is one more entry of ``KINDS``."""

from __future__ import annotations

import errno
import itertools
import os
import resource
import signal
import subprocess
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import pytest

from kiln.declare.units import GiB, KiB, MiB
from kiln.pools.errors import Cancelled, PoolFull, SourceRefused, VolumeBusy, VolumeMissing
from kiln.pools.port import Pool, Source, Succession
from kiln.pools.qcow2 import Qcow2Pool
from tests.pools.kills import in_child, killed_at, points_of
from tests.pools.patterns import BLOCK, SIZE, holds, put
from tests.tools import needs


@dataclass(frozen=True)
class Kind:
    """One kind of pool: how to open one in a folder, again after a crash too, and what it needs."""

    name: str
    tools: tuple[str, ...]
    open: Callable[[Path], Pool]


KINDS = [Kind("qcow2", ("qemu-img", "qemu-io", "prlimit", "setpriv"), lambda folder: Qcow2Pool(folder / "pool"))]


@pytest.fixture(params=KINDS, ids=lambda kind: kind.name)
def kind(request):
    needs(*request.param.tools)
    return request.param


@pytest.fixture
def pool(kind, tmp_path):
    return kind.open(tmp_path)


def no_progress(percent):
    assert 0 <= percent <= 100


def never():
    return False


def raw_file(path, blocks, size=SIZE):
    """A raw image of ``{block number: byte}``."""
    content = bytearray(size)
    for at, byte in blocks.items():
        content[at * BLOCK : (at + 1) * BLOCK] = bytes([byte]) * BLOCK
    path.write_bytes(content)
    return path


def make_tree(pool):
    """base <- middle <- {left, right}: two layers and two heads, each with a block of its own."""
    pool.create("v-base", SIZE)
    put(pool, "v-base", {0: 1, 1: 1, 2: 1})
    pool.freeze([Succession("v-base", "v-middle")], None)
    put(pool, "v-middle", {1: 2, 3: 2})
    pool.freeze([Succession("v-middle", "v-left")], None)
    pool.clone("v-middle", "v-right", SIZE)
    put(pool, "v-left", {2: 3, 4: 3})
    put(pool, "v-right", {0: 4, 5: 4})


TREE = {
    "v-base": {0: 1, 1: 1, 2: 1},
    "v-middle": {0: 1, 1: 2, 2: 1, 3: 2},
    "v-left": {0: 1, 1: 2, 2: 3, 3: 2, 4: 3},
    "v-right": {0: 4, 1: 2, 2: 1, 3: 2, 5: 4},
}


# Heads and layers.


def test_creates_heads_that_read_as_zeros(pool):
    pool.create("v-one", SIZE)

    assert pool.exists("v-one")
    assert pool.size("v-one") == SIZE
    assert pool.parent("v-one") is None
    assert holds(pool, "v-one", {})
    assert pool.verify("v-one") == []


def test_creates_a_disk_of_32_tib_in_next_to_no_space(pool):
    pool.create("v-one", 32 * 1024 * GiB)

    assert pool.size("v-one") == 32 * 1024 * GiB
    assert pool.allocated("v-one") <= 1 * MiB


def test_clones_read_as_their_layer_and_then_zeros(pool):
    pool.create("v-layer", SIZE)
    put(pool, "v-layer", {0: 7, 15: 8})

    pool.clone("v-layer", "v-clone", SIZE + 4 * BLOCK)

    assert pool.size("v-clone") == SIZE + 4 * BLOCK
    assert pool.parent("v-clone") == "v-layer"
    assert holds(pool, "v-clone", {0: 7, 15: 8}, count=20)


def test_clones_do_not_touch_each_other_or_their_layer(pool):
    make_tree(pool)

    assert all(holds(pool, volume, blocks) for volume, blocks in TREE.items())


def test_refuses_a_clone_smaller_than_its_layer(pool):
    pool.create("v-layer", SIZE)

    with pytest.raises(ValueError, match="v-layer"):
        pool.clone("v-layer", "v-clone", SIZE - 512)


def test_refuses_a_clone_of_nothing(pool):
    with pytest.raises(VolumeMissing):
        pool.clone("v-gone", "v-clone", SIZE)


def test_freezes_several_disks_without_a_guest(pool):
    for disk in ("a", "b"):
        pool.create(f"v-{disk}0", SIZE)
    put(pool, "v-a0", {1: 1})
    put(pool, "v-b0", {2: 2})

    pool.freeze([Succession("v-a0", "v-a1"), Succession("v-b0", "v-b1")], None)

    put(pool, "v-a1", {1: 9})
    assert holds(pool, "v-a0", {1: 1})
    assert holds(pool, "v-a1", {1: 9})
    assert holds(pool, "v-b1", {2: 2})
    assert pool.parent("v-b1") == "v-b0"


def test_refuses_to_freeze_what_is_not_there(pool):
    pool.create("v-a0", SIZE)

    with pytest.raises(VolumeMissing):
        pool.freeze([Succession("v-a0", "v-a1"), Succession("v-b0", "v-b1")], None)

    assert list(pool.volumes()) == ["v-a0"]


def test_grows_a_head(pool):
    pool.create("v-one", SIZE)
    put(pool, "v-one", {0: 5})

    pool.resize("v-one", SIZE + 4 * BLOCK)

    assert pool.size("v-one") == SIZE + 4 * BLOCK
    assert holds(pool, "v-one", {0: 5}, count=20)
    assert pool.verify("v-one") == []


def test_grows_a_clone_with_zeros_only(pool):
    pool.create("v-layer", SIZE + 4 * BLOCK)
    put(pool, "v-layer", {15: 6, 19: 6})
    pool.clone("v-layer", "v-one", SIZE + 4 * BLOCK)

    pool.resize("v-one", SIZE + 8 * BLOCK)

    assert holds(pool, "v-one", {15: 6, 19: 6}, count=24)


def test_never_shrinks_a_head(pool):
    pool.create("v-one", SIZE)

    with pytest.raises(ValueError, match="v-one"):
        pool.resize("v-one", SIZE - 512)


def test_does_not_grow_a_layer(pool):
    pool.create("v-layer", SIZE)
    pool.clone("v-layer", "v-one", SIZE)

    with pytest.raises(VolumeBusy):
        pool.resize("v-layer", SIZE + BLOCK)


@pytest.mark.parametrize("ask", ["size", "parent", "allocated", "verify", "blockdevs"])
def test_says_what_is_missing(pool, ask):
    with pytest.raises(VolumeMissing, match="v-gone"):
        getattr(pool, ask)("v-gone")


@pytest.mark.parametrize("name", ["", "-v", "../v-a", "v/a", "v a", "v" * 32])
def test_refuses_names_that_qemu_or_a_folder_would_not_take(pool, name):
    with pytest.raises(ValueError, match="name"):
        pool.create(name, SIZE)


def test_lists_finished_volumes(pool):
    make_tree(pool)

    assert sorted(pool.volumes()) == sorted(TREE)


def test_gives_qemu_the_chain_from_its_lowest_layer(pool):
    make_tree(pool)

    chain = pool.blockdevs("v-left")

    assert [node["node-name"] for node in chain] == ["v-base", "v-middle", "v-left"]
    assert [node["backing"] for node in chain] == [None, "v-base", "v-middle"]
    assert [node["read-only"] for node in chain] == [True, True, False]


def test_everything_may_be_done_twice(pool, tmp_path):
    path = raw_file(tmp_path / "image", {1: 1})
    source = pool.inspect(path, "raw")
    for _ in range(2):
        pool.create("v-base", SIZE)
        pool.freeze([Succession("v-base", "v-head")], None)
        pool.clone("v-base", "v-clone", SIZE)
        pool.resize("v-clone", SIZE + BLOCK)
        pool.bring_in(path, source, "v-image", no_progress, never)
        pool.send_out("v-image", tmp_path / "sent", "raw", no_progress, never)
        pool.grant("v-clone", None)
    put(pool, "v-head", {0: 1})
    for _ in range(2):
        pool.freeze([Succession("v-base", "v-head")], None)
        pool.drop("v-clone")

    assert sorted(pool.volumes()) == ["v-base", "v-head", "v-image"]
    assert holds(pool, "v-head", {0: 1})
    assert holds(pool, "v-image", {1: 1})


# Giving space back.


def test_does_not_drop_a_volume_under_a_child(pool):
    make_tree(pool)

    with pytest.raises(VolumeBusy):
        pool.drop("v-middle")

    assert holds(pool, "v-left", TREE["v-left"])


def test_takes_in_the_parents_bytes(pool):
    make_tree(pool)

    pool.absorb("v-left", None)

    assert pool.parent("v-left") == "v-base"
    assert all(holds(pool, volume, blocks) for volume, blocks in TREE.items())
    assert pool.verify("v-left") == []


def test_stands_on_nothing_when_all_is_taken_in(pool):
    make_tree(pool)

    pool.absorb("v-middle", None)
    pool.drop("v-base")

    assert pool.parent("v-middle") is None
    assert all(holds(pool, volume, TREE[volume]) for volume in ("v-middle", "v-left", "v-right"))


def test_has_nothing_to_take_in_without_a_parent(pool):
    pool.create("v-one", SIZE)

    pool.absorb("v-one", None)

    assert holds(pool, "v-one", {})


def test_keeps_zeros_that_cover_a_parents_bytes(pool):
    pool.create("v-base", SIZE)
    put(pool, "v-base", {0: 1, 1: 1})
    pool.freeze([Succession("v-base", "v-middle")], None)
    put(pool, "v-middle", {0: 0})
    pool.freeze([Succession("v-middle", "v-head")], None)

    pool.absorb("v-head", None)

    assert holds(pool, "v-head", {1: 1})


def test_takes_in_a_smaller_parent_on_a_larger_grandparent(pool):
    """Between the end of the parent and its own the child reads zeros, whatever the layers below have there."""
    pool.create("v-base", SIZE)
    put(pool, "v-base", {3: 1})
    pool.clone("v-base", "v-middle", SIZE + 2 * BLOCK)
    put(pool, "v-middle", {17: 2})
    pool.clone("v-middle", "v-head", SIZE + 4 * BLOCK)

    pool.absorb("v-head", None)

    assert holds(pool, "v-head", {3: 1, 17: 2}, count=20)


@pytest.mark.slow
def test_gives_the_space_back_in_any_order_of_deletion(pool):
    """Names go one by one; what nothing names is dropped, or taken in by its only child first."""
    for order in itertools.permutations(TREE):
        make_tree(pool)
        named = set(TREE)
        for volume in order:
            named.discard(volume)
            collect(pool, named)
            assert all(holds(pool, survivor, TREE[survivor]) for survivor in named), order
            assert sum(1 for _ in pool.volumes()) <= len(named) + 1, order  # A fork in the tree stays.
        assert list(pool.volumes()) == [], order


def collect(pool, named):
    """What Kiln's sweeper does, in its simplest form."""
    again = True
    while again:
        again = False
        volumes = list(pool.volumes())
        for volume in volumes:
            children = [v for v in volumes if pool.parent(v) == volume]
            if volume in named or len(children) > 1:
                continue
            if children:
                pool.absorb(children[0], None)
            pool.drop(volume)
            again = True
            break


# In and out.


@pytest.mark.parametrize(
    ("form", "options"),
    [
        ("raw", ""),
        ("qcow2", ""),
        ("qcow2", "compat=0.10"),
        ("vpc", "subformat=dynamic,force_size=on"),
        ("vpc", "subformat=fixed"),
        ("vmdk", "subformat=monolithicSparse"),
        ("vmdk", "subformat=streamOptimized"),
    ],
)
def test_brings_an_image_in(pool, tmp_path, form, options):
    raw = raw_file(tmp_path / "raw", {0: 1, 7: 2, 15: 3})
    path = tmp_path / "image"
    spelled = ["-o", options] if options else []
    subprocess.run(["qemu-img", "convert", "-f", "raw", "-O", form, *spelled, raw, path], check=True)
    source = pool.inspect(path, form)

    pool.bring_in(path, source, "v-image", no_progress, never)

    assert pool.size("v-image") == source.virtual_size >= SIZE
    assert pool.parent("v-image") is None
    assert holds(pool, "v-image", {0: 1, 7: 2, 15: 3})
    assert pool.verify("v-image") == []


def test_brings_in_a_raw_file_of_any_length(pool, tmp_path):
    path = tmp_path / "image"
    path.write_bytes(b"\1" * (BLOCK + 100))

    pool.bring_in(path, pool.inspect(path, "raw"), "v-image", no_progress, never)

    assert pool.size("v-image") == BLOCK + 512
    assert holds(pool, "v-image", {0: 1}, count=1)


@pytest.mark.parametrize("target", ["raw", "qcow2", "vpc", "vmdk", "vdi"])
def test_sends_a_layer_out_flattened(pool, tmp_path, target):
    make_tree(pool)
    path = tmp_path / "sent"

    pool.send_out("v-middle", path, target, no_progress, never)

    subprocess.run(["qemu-img", "convert", "-f", target, "-O", "raw", path, tmp_path / "raw"], check=True)
    assert (tmp_path / "raw").read_bytes() == raw_file(tmp_path / "expected", TREE["v-middle"]).read_bytes()


@pytest.mark.parametrize("target", ["raw", "qcow2", "vpc", "vmdk"])
def test_brings_in_what_it_sent_out(pool, tmp_path, target):
    make_tree(pool)
    pool.send_out("v-left", tmp_path / "sent", target, no_progress, never)

    source = pool.inspect(tmp_path / "sent", target)
    pool.bring_in(tmp_path / "sent", source, "v-image", no_progress, never)

    assert pool.size("v-image") == SIZE
    assert holds(pool, "v-image", TREE["v-left"])


def test_refuses_to_send_nothing_out(pool, tmp_path):
    with pytest.raises(VolumeMissing):
        pool.send_out("v-gone", tmp_path / "sent", "raw", no_progress, never)


def test_refuses_an_image_that_changed_after_its_inspection(pool, tmp_path):
    path = raw_file(tmp_path / "image", {})

    with pytest.raises(SourceRefused, match="changed"):
        pool.bring_in(path, Source(format="raw", virtual_size=SIZE + 512), "v-image", no_progress, never)

    assert list(pool.volumes()) == pool.sweep() == []


def test_reports_progress_up_to_the_end(pool, tmp_path):
    path = raw_file(tmp_path / "image", {0: 1})
    came, went = [], []

    pool.bring_in(path, pool.inspect(path, "raw"), "v-image", came.append, never)
    pool.send_out("v-image", tmp_path / "sent", "raw", went.append, never)

    for reports in (came, went):
        assert reports == sorted(reports)
        assert reports[-1] == 100.0


def test_stops_when_asked_and_leaves_nothing(pool, tmp_path):
    path = raw_file(tmp_path / "image", dict.fromkeys(range(16), 1))
    source = pool.inspect(path, "raw")
    pool.bring_in(path, source, "v-image", no_progress, never)
    (tmp_path / "out").mkdir()

    with pytest.raises(Cancelled):
        pool.bring_in(path, source, "v-other", no_progress, lambda: True)
    with pytest.raises(Cancelled):
        pool.send_out("v-image", tmp_path / "out" / "sent", "raw", no_progress, lambda: True)

    assert list(pool.volumes()) == ["v-image"]
    assert pool.sweep() == list((tmp_path / "out").iterdir()) == []


# Damage.


def test_finds_a_volume_without_its_layer(pool):
    make_tree(pool)
    assert pool.verify("v-left") == []

    lose(pool, "v-base")

    assert pool.verify("v-left") == ["The layer v-base below it is missing."]


def lose(pool, volume):
    """Take a volume's bytes away behind the pool's back."""
    Path(pool.blockdevs(volume)[-1]["file"]["filename"]).unlink()


# Kills. Each scenario is prepared, killed at every one of its points in turn, and done again by a new process.


def of_tree(pool, folder):
    make_tree(pool)


def with_source(pool, folder):
    raw_file(folder / "image", {0: 1, 9: 2})


def bring(pool, folder):
    pool.bring_in(folder / "image", Source(format="raw", virtual_size=SIZE), "v-image", no_progress, never)


def send(pool, folder):
    pool.send_out("v-left", folder / "sent", "raw", no_progress, never)
    for left_over in folder.glob(".tmp-*"):
        left_over.unlink()


def absorb_and_drop(pool, folder):
    if pool.exists("v-base") and pool.parent("v-middle") == "v-base":
        pool.absorb("v-middle", None)
    pool.drop("v-base")


@dataclass(frozen=True)
class Scenario:
    prepare: Callable[[Pool, Path], None]
    act: Callable[[Pool, Path], None]
    expected: dict[str, dict[int, int]]


LATER = {"v-middle": TREE["v-middle"], "v-left": TREE["v-left"], "v-right": TREE["v-right"]}
SCENARIOS = {
    "create": Scenario(lambda *_: None, lambda pool, _: pool.create("v-one", SIZE), {"v-one": {}}),
    "clone": Scenario(
        of_tree, lambda pool, _: pool.clone("v-middle", "v-more", SIZE), {**TREE, "v-more": TREE["v-middle"]}
    ),
    "freeze": Scenario(
        of_tree,
        lambda pool, _: pool.freeze([Succession("v-left", "v-left1"), Succession("v-right", "v-right1")], None),
        {**TREE, "v-left1": TREE["v-left"], "v-right1": TREE["v-right"]},
    ),
    "resize": Scenario(of_tree, lambda pool, _: pool.resize("v-left", SIZE + BLOCK), TREE),
    "absorb and drop": Scenario(of_tree, absorb_and_drop, LATER),
    "bring in": Scenario(with_source, bring, {"v-image": {0: 1, 9: 2}}),
    "send out": Scenario(of_tree, send, TREE),
}


@pytest.mark.slow
@pytest.mark.parametrize("scenario", SCENARIOS.values(), ids=SCENARIOS)
def test_is_whole_after_a_kill_at_any_point(kind, tmp_path, scenario):
    def start(name):
        folder = tmp_path / name
        folder.mkdir()
        scenario.prepare(kind.open(folder), folder)
        return folder

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
        for volume, blocks in scenario.expected.items():
            assert holds(pool, volume, blocks), (point, volume)
            assert pool.verify(volume) == [], (point, volume)
        assert pool.sweep() == [], point
        if (folder / "sent").exists():
            assert (folder / "sent").read_bytes() == raw_file(folder / "raw", TREE["v-left"]).read_bytes()


def test_keeps_volumes_that_it_is_still_making_from_the_sweep(pool, tmp_path):
    path = raw_file(tmp_path / "image", {0: 1})
    swept = []

    pool.bring_in(path, pool.inspect(path, "raw"), "v-image", lambda _: swept.extend(pool.sweep()), never)

    assert swept == []
    assert holds(pool, "v-image", {0: 1})


# No room.

NO_ROOM = {
    "create": lambda pool, _: pool.create("v-one", SIZE),
    "clone": lambda pool, _: pool.clone("v-middle", "v-more", SIZE),
    "freeze": lambda pool, _: pool.freeze([Succession("v-left", "v-left1"), Succession("v-right", "v-right1")], None),
    "absorb": lambda pool, _: pool.absorb("v-left", None),
    "bring in": bring,
    "send out": lambda pool, folder: pool.send_out("v-left", folder / "sent", "raw", no_progress, never),
}


@pytest.fixture
def small_folder(tmp_path):
    """A folder in a file system of 8 MiB, where mounting is allowed."""
    folder = tmp_path / "small"
    folder.mkdir()
    mounted = subprocess.run(
        ["mount", "-t", "tmpfs", "-o", "size=8m", "tmpfs", folder], capture_output=True, check=False
    )
    if mounted.returncode:
        pytest.skip("needs the right to mount a tmpfs")
    yield folder
    subprocess.run(["umount", folder], check=True)


@pytest.mark.parametrize("left_bytes", [0, 4 * KiB, 20 * KiB], ids=lambda count: f"{count // KiB}KiB left")
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


def test_refuses_an_image_that_would_not_fit_before_it_writes(kind, small_folder, tmp_path):
    pool = kind.open(small_folder)
    path = tmp_path / "image"
    with path.open("wb") as file:
        file.write(os.urandom(16 * MiB))
    written = []

    with pytest.raises(PoolFull, match="free"):
        pool.bring_in(path, pool.inspect(path, "raw"), "v-image", written.append, never)

    assert written == []


def test_dies_of_no_signal_that_a_limit_sends():
    """Python ignores SIGXFSZ, so that a limit is an error and not an end; the tests above lean on it."""
    assert signal.getsignal(signal.SIGXFSZ) == signal.SIG_IGN
