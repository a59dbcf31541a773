"""The LUKS headers that Kiln writes itself, and what it reads of them."""

from __future__ import annotations

import json
import subprocess

import pytest

from kiln.ground.passphrases import within
from kiln.pools import luks, overlay
from kiln.pools.errors import VolumeBroken, VolumeLocked
from kiln.pools.port import Succession
from kiln.pools.qcow2 import Qcow2Pool
from tests.pools.patterns import SIZE
from tests.ring import KEY, another, passphrase
from tests.tools import needs


@pytest.fixture
def path(tmp_path):
    path = tmp_path / "v-one.qcow2"
    path.touch()
    overlay.write(path, SIZE, None, luks.forge(KEY, passphrase))
    return path


def test_is_what_cryptsetups_and_qemus_word_of_it_is(path):
    needs("qemu-img")
    said = subprocess.check_output(["qemu-img", "info", "--output=json", path])

    about = json.loads(said)["format-specific"]["data"]["encrypt"]

    assert (about["format"], about["uuid"], about["master-key-iters"]) == ("luks", KEY, 1000)
    assert (about["cipher-alg"], about["cipher-mode"], about["ivgen-alg"]) == ("aes-256", "xts", "plain64")
    assert [slot["active"] for slot in about["slots"]] == [True] + [False] * 7


def test_takes_little_room_and_has_another_key_each_time(path, tmp_path):
    other = tmp_path / "v-two.qcow2"
    other.touch()
    overlay.write(other, SIZE, None, luks.forge(KEY, passphrase))

    assert path.stat().st_blocks * 512 <= 320 * 1024
    assert path.read_bytes() != other.read_bytes()
    assert overlay.read(path).lock.nonce != overlay.read(other).lock.nonce


def test_tells_the_right_key_from_another_and_from_none(path):
    lock = overlay.read(path).lock

    assert luks.open_lock(lock, "v-one", passphrase).text == passphrase(KEY, lock.nonce)
    for keys in (another, luks.no_keys):
        with pytest.raises(VolumeLocked, match=f"v-one is encrypted, and the key {KEY}"):
            luks.open_lock(lock, "v-one", keys)


@pytest.mark.parametrize("key", ["", "k" * 40, "schlüssel"])
def test_refuses_what_cannot_be_the_id_of_a_key(key):
    with pytest.raises(ValueError, match="ID of a key"):
        luks.forge(key, passphrase)


@pytest.mark.parametrize(
    ("at", "byte"),
    [
        *((0, b"X"), (7, b"\2"), (8, b"s"), (40, b"c"), (111, b"\x20"), (168, b"\xff")),
        # Where the data begin, and of the volume's key and the first places the rounds, the state and the stripes.
        *((104, b"\1"), (164, b"\xff"), (212, b"\xff"), (252, b"\xff"), (256, b"\1"), (260, b"\xff")),
    ],
    ids=str,
)
def test_says_that_what_no_kiln_wrote_is_broken(at, byte):
    header = bytearray(luks.forge(KEY, passphrase))
    header[at : at + 1] = byte

    with pytest.raises(VolumeBroken, match="v-one is encrypted"):
        luks.read(bytes(header), "v-one")


def test_says_that_a_key_is_cut_off(path):
    with path.open("r+b") as file:
        file.truncate(4 * 128 * 1024 + 100)

    with pytest.raises(VolumeBroken, match="cut off"):
        overlay.read(path)


def test_nothing_is_merged_into_what_was_made_plain_above_it(tmp_path):
    needs("qemu-img")
    pool = Qcow2Pool(tmp_path)
    pool.keys = passphrase
    pool.create("v-one", SIZE, KEY)
    pool.freeze([Succession("v-one", "v-two")], None)
    overlay.write(tmp_path / "v-two.qcow2", SIZE, "v-one.qcow2")

    with pytest.raises(VolumeBroken, match="v-two is not encrypted"):
        pool.absorb("v-two", None)


def test_shows_no_passphrase_in_arguments_logs_or_answers(tmp_path):
    pool = Qcow2Pool(tmp_path)
    pool.keys = passphrase
    pool.create("v-one", SIZE, KEY)

    nodes = pool.blockdevs("v-one")
    (one,) = within(nodes)

    assert len(one.text) == 64
    for shown in (json.dumps(nodes), repr(nodes), str(one), f"{one!r}"):
        assert one.text not in shown
    assert one.text.encode() not in (tmp_path / "v-one.qcow2").read_bytes()
