"""What every pool promises while nothing goes wrong around it. A new kind of pool is one more entry of ``KINDS``."""

from __future__ import annotations

import itertools
import os
import subprocess

import pytest

from kiln.ground.units import GiB, MiB
from kiln.pools.errors import (
    Cancelled,
    EncryptionUnsupported,
    SourceRefused,
    SourceTouched,
    VolumeBusy,
    VolumeLocked,
    VolumeMissing,
)
from kiln.pools.port import Succession
from tests.contract.pools import ENCRYPTING, PLAIN, TREE, make_tree, never, no_progress, raw_file
from tests.pools.patterns import BLOCK, SIZE, bring_in, holds, inspected, node, opened, put, reads_as, talk
from tests.ring import KEY, another

# Heads and layers.


def test_creates_heads_that_read_as_zeros(pool):
    pool.create("v-one", SIZE)

    assert pool.exists("v-one")
    assert pool.size("v-one") == SIZE
    assert pool.parent("v-one") is None
    assert holds(pool, "v-one", {})
    assert pool.verify("v-one") == []


def test_creates_a_disk_of_32_tib_in_next_to_no_space(kind, pool):
    pool.create("v-one", 32 * 1024 * GiB)

    assert pool.size("v-one") == 32 * 1024 * GiB
    assert kind.allocated(pool, "v-one") <= 1 * MiB


def test_tells_what_its_files_take_and_whose_they_are(kind, pool):
    pool.create("v-one", SIZE)
    put(pool, "v-one", {0: 7})

    taken = list(pool.taken())

    assert dict(taken)["v-one"] == kind.allocated(pool, "v-one") >= BLOCK
    pool.drop("v-one")
    assert "v-one" not in dict(pool.taken())


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

    is_quiesced = pool.freeze([Succession("v-a0", "v-a1"), Succession("v-b0", "v-b1")], None)

    assert is_quiesced is False
    put(pool, "v-a1", {1: 9})
    assert holds(pool, "v-a0", {1: 1})
    assert holds(pool, "v-a1", {1: 9})
    assert holds(pool, "v-b1", {2: 2})
    assert pool.parent("v-b1") == "v-b0"


def test_makes_an_heir_anew_when_its_disk_grew_after_a_freeze_that_was_refused(pool):
    class Refusing:
        def switch(self, nodes, settle, opened, leads_home):
            raise RuntimeError

        def hold(self, act):
            raise RuntimeError

    pool.create("v-a0", SIZE)
    with pytest.raises(RuntimeError):
        pool.freeze([Succession("v-a0", "v-a1")], Refusing())
    grow_as_a_guest_does(pool, "v-a0", SIZE + BLOCK)

    pool.freeze([Succession("v-a0", "v-a1")], None)

    assert pool.size("v-a1") == SIZE + BLOCK
    assert pool.parent("v-a1") == "v-a0"


def grow_as_a_guest_does(pool, volume, size_bytes):
    """Grow a head as ``block_resize`` in a running machine would, without asking the pool."""
    talk(node(pool, volume, writable=True), [f"truncate {size_bytes}"])


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


@pytest.mark.parametrize("ask", ["size", "parent", "verify", "blockdevs"])
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


def test_sets_volumes_aside_with_all_their_bytes(kind, pool):
    make_tree(pool)
    pool.create("v-stray", SIZE)
    put(pool, "v-stray", {0: 9})

    where = pool.set_aside("v-stray")
    pool.create("v-stray", SIZE)

    assert pool.set_aside("v-stray") != where
    assert sorted(pool.volumes()) == sorted(TREE)
    assert pool.strangers() == []
    assert reads_as(kind.aside(pool, where), {0: 9})


def test_gives_qemu_nodes_of_which_the_last_is_the_head(pool):
    make_tree(pool)

    *below, head = pool.blockdevs("v-left")

    assert head["node-name"] == pool.node("v-left")
    assert head["read-only"] is False
    assert all(node["read-only"] for node in below)


def test_names_the_files_that_a_machine_opens(pool):
    make_tree(pool)

    assert all(path.is_file() for path in pool.files("v-left"))


def test_everything_may_be_done_twice(pool, tmp_path):
    path = raw_file(tmp_path / "image", {1: 1})
    source = inspected(pool, path, "raw")
    for _ in range(2):
        pool.create("v-base", SIZE)
        pool.freeze([Succession("v-base", "v-head")], None)
        pool.clone("v-base", "v-clone", SIZE)
        pool.resize("v-clone", SIZE + BLOCK)
        bring_in(pool, path, source)
        pool.send_out("v-image", tmp_path / "sent", "raw", no_progress, never)
        pool.grant("v-clone", None)
    put(pool, "v-head", {0: 1})
    for _ in range(2):
        pool.freeze([Succession("v-base", "v-head")], None)
        pool.drop("v-clone")

    assert sorted(pool.volumes()) == ["v-base", "v-head", "v-image"]
    assert holds(pool, "v-head", {0: 1})
    assert holds(pool, "v-image", {1: 1})


# Handing files out.


def test_nothing_that_something_stands_on_is_granted_for_writing(pool):
    pool.create("v-base", SIZE)
    pool.freeze([Succession("v-base", "v-head")], None)
    pool.clone("v-base", "v-clone", SIZE)
    put(pool, "v-head", {0: 1})

    for uid in (None, os.geteuid()):
        with pytest.raises(VolumeBusy):
            pool.grant("v-base", uid)
        pool.grant("v-head", uid)
    pool.take_back("v-base")
    pool.take_back("v-head")
    pool.drop("v-clone")
    with pytest.raises(VolumeBusy):
        pool.grant("v-base", None)

    assert holds(pool, "v-base", {})
    assert holds(pool, "v-head", {0: 1})
    pool.drop("v-head")
    pool.grant("v-base", None)
    put(pool, "v-base", {0: 2})


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


# Encryption.


@pytest.mark.parametrize("kind", PLAIN, indirect=True)
def test_says_that_it_encrypts_nothing_and_makes_nothing_plain_instead(pool):
    make_tree(pool)
    assert not pool.encrypts

    with pytest.raises(EncryptionUnsupported, match="v-one"):
        pool.create("v-one", SIZE, KEY)
    with pytest.raises(EncryptionUnsupported, match="v-one"):
        pool.encrypt("v-middle", "v-one", KEY, no_progress, never)

    assert sorted(pool.volumes()) == sorted(TREE)
    assert pool.leftovers() == []


@pytest.mark.slow
@pytest.mark.parametrize("kind", ENCRYPTING, indirect=True)
def test_encrypts_a_copy_of_a_layer_that_reads_as_it_and_stands_alone(pool):
    make_tree(pool)
    heard = []

    for _ in range(2):
        pool.encrypt("v-middle", "v-copy", KEY, heard.append, never)

    assert holds(pool, "v-copy", TREE["v-middle"])
    assert pool.parent("v-copy") is None
    assert pool.verify("v-copy") == []
    assert heard[-1] == 100
    assert not _is_plain(pool, "v-copy", 1)
    assert not _is_plain(pool, "v-copy", 2)


@pytest.mark.parametrize("kind", ENCRYPTING, indirect=True)
def test_writes_nothing_plain_above_an_encrypted_layer_whatever_is_merged(pool):
    pool.create("v-base", SIZE, KEY)
    put(pool, "v-base", {0: 0x51, 1: 0x51})
    pool.freeze([Succession("v-base", "v-middle")], None)
    put(pool, "v-middle", {1: 0x52, 2: 0x52})
    pool.freeze([Succession("v-middle", "v-head")], None)
    put(pool, "v-head", {2: 0x53})
    pool.clone("v-middle", "v-clone", SIZE)
    put(pool, "v-clone", {3: 0x54})
    wanted = {"v-head": {0: 0x51, 1: 0x52, 2: 0x53}, "v-clone": {0: 0x51, 1: 0x52, 2: 0x52, 3: 0x54}}

    for volume in ("v-head", "v-middle", "v-clone", "v-head"):
        pool.absorb(volume, None)

    assert all(holds(pool, volume, blocks) for volume, blocks in wanted.items())
    for volume in ("v-base", "v-middle", "v-head", "v-clone"):
        assert pool.verify(volume) == []
        assert not any(_is_plain(pool, volume, byte) for byte in (0x51, 0x52, 0x53, 0x54))


@pytest.mark.parametrize("kind", ENCRYPTING, indirect=True)
def test_keeps_the_bytes_of_what_it_has_no_key_of_and_says_so(pool):
    pool.create("v-one", SIZE, KEY)
    put(pool, "v-one", {0: 5})
    pool.freeze([Succession("v-one", "v-two")], None)
    right, pool.keys = pool.keys, another

    asked = {
        "clone": lambda: pool.blockdevs("v-one"),
        "absorb": lambda: pool.absorb("v-two", None),
        "resize": lambda: pool.resize("v-two", 2 * SIZE),
        "encrypt": lambda: pool.encrypt("v-one", "v-copy", KEY, no_progress, never),
    }
    for ask in asked.values():
        with pytest.raises(VolumeLocked, match=KEY):
            ask()
    (complaint,) = pool.verify("v-one")
    assert KEY in complaint
    assert (pool.parent("v-two"), pool.size("v-two"), pool.exists("v-copy")) == ("v-one", SIZE, False)
    pool.keys = right
    assert holds(pool, "v-two", {0: 5})


@pytest.mark.parametrize("kind", ENCRYPTING, indirect=True)
def test_makes_nothing_with_a_key_that_is_not_there(pool):
    pool.create("v-layer", SIZE)

    with pytest.raises(VolumeLocked, match="no-key"):
        pool.create("v-one", SIZE, "no-key")
    with pytest.raises(VolumeLocked, match="no-key"):
        pool.encrypt("v-layer", "v-one", "no-key", no_progress, never)

    assert list(pool.volumes()) == ["v-layer"]
    assert pool.leftovers() == []


@pytest.mark.parametrize("kind", ENCRYPTING, indirect=True)
def test_stops_encrypting_when_asked_and_leaves_nothing(pool):
    make_tree(pool)

    with pytest.raises(Cancelled):
        pool.encrypt("v-middle", "v-copy", KEY, no_progress, lambda: True)

    assert not pool.exists("v-copy")
    assert pool.leftovers() == []


def _is_plain(pool, volume, byte):
    """Whether a sector of that byte can be read in the volume's own file."""
    (own,) = (path for path in pool.files(volume) if path.stem == volume)
    return bytes([byte]) * 512 in own.read_bytes()


def test_gives_the_space_back_in_any_order_of_deletion(pool):
    """Names go one by one; what nothing names is dropped, or taken in by its only child first."""
    for order in itertools.permutations(TREE):
        if order.index("v-left") > order.index("v-right"):
            continue  # Its mirror image was tried.
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


# The trash.


def trashed(pool):
    return sorted(one.volume for one in pool.discarded())


def test_reads_as_before_when_it_is_back_from_the_trash(pool):
    make_tree(pool)

    assert pool.discard(["v-left", "v-right"]) == ["v-left", "v-right"]
    assert pool.discard(["v-middle"]) == ["v-middle"]
    assert list(pool.volumes()) == ["v-base"]
    assert trashed(pool) == ["v-left", "v-middle", "v-right"]
    assert not pool.exists("v-left")
    for volume in ("v-middle", "v-right", "v-left"):
        pool.retrieve(volume)

    assert trashed(pool) == []
    assert all(holds(pool, volume, blocks) for volume, blocks in TREE.items())
    put(pool, "v-left", {9: 9})
    assert holds(pool, "v-left", {**TREE["v-left"], 9: 9})


def test_reads_as_before_when_what_it_stood_on_was_merged_meanwhile(pool):
    make_tree(pool)
    pool.discard(["v-left"])

    pool.absorb("v-middle", None)
    pool.absorb("v-right", None)
    pool.discard(["v-base", "v-middle"])
    assert trashed(pool) == ["v-base", "v-left", "v-middle"]
    pool.retrieve("v-middle")
    pool.retrieve("v-left")

    assert holds(pool, "v-left", TREE["v-left"])
    assert holds(pool, "v-right", TREE["v-right"])


def test_discards_and_retrieves_again_what_it_has_already(pool):
    pool.create("v-one", SIZE)

    for _ in range(2):
        assert pool.discard(["v-one", "v-never"]) == ["v-one"]
    for _ in range(2):
        pool.retrieve("v-one")

    assert pool.exists("v-one")
    with pytest.raises(VolumeMissing, match="v-never"):
        pool.retrieve("v-never")


def test_retrieves_nothing_without_what_it_stands_on(pool):
    make_tree(pool)
    pool.discard(["v-left", "v-right"])
    pool.discard(["v-middle"])

    with pytest.raises(VolumeMissing, match="v-middle"):
        pool.retrieve("v-left")

    assert trashed(pool) == ["v-left", "v-middle", "v-right"]


def test_discards_nothing_that_is_stood_on_or_open(pool):
    make_tree(pool)

    assert pool.discard(["v-base", "v-middle"]) == []
    with opened(node(pool, "v-left", writable=True), lambda: pool.is_open("v-left")):
        assert pool.discard(["v-left", "v-right"]) == ["v-right"]

    assert sorted(pool.volumes()) == ["v-base", "v-left", "v-middle"]


def test_removes_nothing_for_good_that_something_in_the_trash_stands_on(pool):
    make_tree(pool)
    pool.discard(["v-left", "v-right"])

    with pytest.raises(VolumeBusy):
        pool.drop("v-middle")
    pool.discard(["v-middle"])
    assert pool.purge(["v-middle", "v-right"]) == ["v-right"]
    assert sorted(pool.purge(["v-middle", "v-left"])) == ["v-left", "v-middle"]

    assert trashed(pool) == []
    assert holds(pool, "v-base", TREE["v-base"])


def test_purges_nothing_that_somebody_has_open(kind, pool):
    pool.create("v-one", SIZE)
    with kind.opened_in_trash(pool, "v-one"):
        assert pool.purge(["v-one"]) == []

    assert pool.purge(["v-one"]) == ["v-one"]


def test_says_what_its_trash_takes(kind, pool):
    make_tree(pool)
    taken = kind.allocated(pool, "v-left")

    pool.discard(["v-left"])

    assert [one.allocated_bytes for one in pool.discarded()] == [taken]


def test_tells_how_much_room_it_has(kind, pool):
    kind.tell_room()

    assert 0 < pool.room().free_bytes <= pool.room().total_bytes


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
    source = inspected(pool, path, form)

    bring_in(pool, path, source)

    assert pool.size("v-image") == source.virtual_size >= SIZE
    assert pool.parent("v-image") is None
    assert holds(pool, "v-image", {0: 1, 7: 2, 15: 3})
    assert pool.verify("v-image") == []


def test_brings_in_a_raw_file_of_any_length(pool, tmp_path):
    path = tmp_path / "image"
    path.write_bytes(b"\1" * (BLOCK + 100))

    bring_in(pool, path, inspected(pool, path, "raw"))

    assert pool.size("v-image") == BLOCK + 512
    assert holds(pool, "v-image", {0: 1}, count=1)


@pytest.mark.parametrize("target", ["raw", "qcow2", "vpc", "vmdk", "vdi"])
def test_sends_a_layer_out_flattened(pool, tmp_path, target):
    make_tree(pool)
    path = tmp_path / "sent"

    pool.send_out("v-middle", path, target, no_progress, never)

    subprocess.run(["qemu-img", "convert", "-f", target, "-O", "raw", path, tmp_path / "raw"], check=True)
    assert (tmp_path / "raw").read_bytes() == raw_file(tmp_path / "expected", TREE["v-middle"]).read_bytes()


def test_what_is_sent_out_takes_the_place_of_the_file_that_is_there(pool, tmp_path):
    """A bucket has an empty one ready for it."""
    make_tree(pool)
    path = tmp_path / "sent"
    path.touch()

    pool.send_out("v-middle", path, "raw", no_progress, never)

    assert path.read_bytes() == raw_file(tmp_path / "expected", TREE["v-middle"]).read_bytes()


@pytest.mark.parametrize("target", ["raw", "qcow2", "vpc", "vmdk"])
def test_brings_in_what_it_sent_out(pool, tmp_path, target):
    make_tree(pool)
    pool.send_out("v-left", tmp_path / "sent", target, no_progress, never)

    source = inspected(pool, tmp_path / "sent", target)
    bring_in(pool, tmp_path / "sent", source)

    assert pool.size("v-image") == SIZE
    assert holds(pool, "v-image", TREE["v-left"])


def test_refuses_to_send_nothing_out(pool, tmp_path):
    with pytest.raises(VolumeMissing):
        pool.send_out("v-gone", tmp_path / "sent", "raw", no_progress, never)


def test_refuses_an_image_that_changed_after_its_inspection(pool, tmp_path):
    path = raw_file(tmp_path / "image", {0: 1})
    source = inspected(pool, path, "raw")
    raw_file(path, {0: 2})

    with pytest.raises(SourceRefused, match="changed"):
        bring_in(pool, path, source)

    assert list(pool.volumes()) == pool.sweep() == []


def test_refuses_another_file_than_the_one_inspected(pool, tmp_path):
    source = inspected(pool, raw_file(tmp_path / "image", {0: 1}), "raw")

    with pytest.raises(SourceRefused, match="changed"):
        bring_in(pool, raw_file(tmp_path / "other", {0: 1}), source)


@pytest.mark.parametrize("size", [SIZE, SIZE - 512])
def test_refuses_an_image_that_is_written_while_it_is_copied(pool, tmp_path, size):
    path = raw_file(tmp_path / "image", {0: 1})
    source = inspected(pool, path, "raw")
    before = path.stat()

    def write(percent):
        raw_file(path, {0: 2}, size)
        os.utime(path, ns=(before.st_atime_ns, before.st_mtime_ns))

    with pytest.raises(SourceRefused, match="changed"):
        bring_in(pool, path, source, progress=write)

    assert list(pool.volumes()) == pool.sweep() == []


def test_may_bring_in_a_file_that_was_only_renamed_when_asked_again(pool, tmp_path):
    path = raw_file(tmp_path / "image", {0: 1})
    source = inspected(pool, path, "raw")
    path = path.rename(tmp_path / "renamed")

    with pytest.raises(SourceTouched):
        bring_in(pool, path, source)
    bring_in(pool, path, inspected(pool, path, "raw"))

    assert holds(pool, "v-image", {0: 1})


def test_reads_the_open_file_whatever_its_name_leads_to(pool, tmp_path):
    path = raw_file(tmp_path / "image", {0: 1})
    with path.open("rb") as file:
        path.rename(tmp_path / "renamed")
        raw_file(path, {0: 2})
        pool.bring_in(file, pool.inspect(file, "raw"), "v-image", no_progress, never)

    assert holds(pool, "v-image", {0: 1})


def test_reports_progress_up_to_the_end(pool, tmp_path):
    path = raw_file(tmp_path / "image", {0: 1})
    came, went = [], []

    bring_in(pool, path, inspected(pool, path, "raw"), progress=came.append)
    pool.send_out("v-image", tmp_path / "sent", "raw", went.append, never)

    for reports in (came, went):
        assert reports == sorted(reports)
        assert reports[-1] == 100.0


def test_stops_when_asked_and_leaves_nothing(pool, tmp_path):
    path = raw_file(tmp_path / "image", dict.fromkeys(range(16), 1))
    source = inspected(pool, path, "raw")
    bring_in(pool, path, source)
    (tmp_path / "out").mkdir()

    with pytest.raises(Cancelled):
        bring_in(pool, path, source, "v-other", cancelled=lambda: True)
    with pytest.raises(Cancelled):
        pool.send_out("v-image", tmp_path / "out" / "sent", "raw", no_progress, lambda: True)

    assert list(pool.volumes()) == ["v-image"]
    assert pool.sweep() == list((tmp_path / "out").iterdir()) == []


# Damage.


def test_finds_a_volume_without_its_layer(kind, pool):
    make_tree(pool)
    assert pool.verify("v-left") == []

    kind.lose(pool, "v-base")

    assert pool.verify("v-left") == ["The layer v-base below it is missing."]
