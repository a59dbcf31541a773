"""The key of encrypted volumes: made once, never a second time beside what it has encrypted."""

from __future__ import annotations

import pytest

from kiln.pools.errors import VolumeLocked
from kiln.service import volume_keys
from kiln.service.claim import hold_data_folder
from kiln.service.rebuilding import rebuilt
from kiln.store.disks import disks
from kiln.store.volumes import reinstated, volumes
from tests.service.pairs import Home, as_cloud
from tests.stock import a_disk

KEY = "0d4e1c2b-7f6a-5b3c-8d9e-0a1b2c3d4e5f"


@pytest.fixture
def home(tmp_path):
    """A data folder in which there is an encrypted disk."""
    home = Home(tmp_path / "home")
    with home.started() as it:
        disk = a_disk(as_cloud(it), account=as_cloud(it).account, kms_key=KEY)
        it.pool.create("v-sealed", 2**20, KEY)
        assert disk.kms_key == KEY
    return home


def test_is_made_at_the_first_start_for_its_owner_alone_and_stays(home):
    path = home.data / "volumes.key"
    made = path.read_bytes()

    with home.started() as it:
        nodes = it.pool.blockdevs("v-sealed")

    assert (len(made), path.stat().st_mode & 0o777) == (32, 0o600)
    assert path.read_bytes() == made
    assert nodes[-1]["encrypt"]["key-secret"].text == it.pool.keys(KEY, _nonce(nodes), "v-sealed")


def test_is_another_for_each_key_and_each_volume(home):
    tell = volume_keys.passphrases(home.data, lambda _: ())

    told = {tell(key, nonce, "v-one") for key in (KEY, "another") for nonce in (b"n" * 16, b"m" * 16)}

    assert len(told) == 4
    assert all(len(one) == 64 for one in told)


@pytest.mark.parametrize("named", ["itself", "above", "far above"])
def test_is_told_of_no_volume_that_has_another_by_its_rows(home, caplog, named):
    with home.started() as it:
        # The file of somebody else, as one's own volume: its header says their key.
        it.pool.create("v-stolen", 2**20, KEY)
        heads = ["v-stolen", *{"itself": [], "above": ["v-1"], "far above": ["v-1", "v-2", "v-3"]}[named]]
        below = zip(heads, [None, *heads], strict=False)
        rows = [reinstated(volume, "head", parent, 2**20, now=0.0) for volume, parent in below]
        it.ports.database.write(lambda tx: [volumes.insert(tx, row) for row in rows])
        own = a_disk(as_cloud(it), account=as_cloud(it).account, volume=heads[-1], kms_key="another")

        with pytest.raises(VolumeLocked, match=r"v-stolen is encrypted, and the key .* is not the one"):
            it.pool.blockdevs("v-stolen")
        assert "volume_of_another_key" in caplog.messages

        it.ports.database.write(lambda tx: disks.update(tx, {"kms_key": KEY}, id=own.id))
        assert it.pool.blockdevs("v-stolen")


def test_a_start_says_that_it_is_lost_and_makes_no_second_one(home, caplog):
    path = home.data / "volumes.key"
    kept = path.read_bytes()
    path.unlink()

    with home.started() as it:
        complaints = it.pool.verify("v-sealed")

    assert "volumes_key_missing" in caplog.messages
    assert KEY in complaints[0]
    assert not path.exists()
    path.write_bytes(kept)
    with home.started() as it:
        assert it.pool.verify("v-sealed") == []


def test_makes_no_second_one_where_the_database_is_lost_too(home, caplog):
    (home.data / "volumes.key").unlink()
    for file in home.data.glob("kiln.sqlite*"):
        file.unlink()

    with hold_data_folder(home.data), rebuilt(home.settings):
        pass

    assert "volumes_key_missing" in caplog.messages
    assert not (home.data / "volumes.key").exists()


def test_makes_no_second_one_where_all_that_it_encrypted_is_in_the_trash(home):
    with home.started() as it:
        it.ports.database.write(disks.delete)
        assert it.pool.discard(["v-sealed"]) == ["v-sealed"]
    (home.data / "volumes.key").unlink()

    home.start()

    assert not (home.data / "volumes.key").exists()


def test_says_of_another_key_that_it_is_not_the_one(home):
    (home.data / "volumes.key").write_bytes(b"k" * 32)

    with home.started() as it:
        complaints = it.pool.verify("v-sealed")

    assert KEY in complaints[0]


def _nonce(nodes):
    return bytes.fromhex(nodes[-1]["encrypt"]["key-secret"].removeprefix("key-"))
