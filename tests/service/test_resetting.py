"""New secrets under a new master key: everything but secrets is as it was, whatever happens meanwhile."""

from __future__ import annotations

import errno
import json
import os

import pytest

from kiln.client.client import Client
from kiln.console.sessions import Keys, Who
from kiln.operations.instances.replace_system_disk import Facts
from kiln.service import keys
from kiln.service.accounts import ensure_first_account, known_keys
from kiln.service.assemble import assemble
from kiln.service.claim import hold_data_folder
from kiln.service.errors import SecretBroken
from kiln.service.resetting import reset_keys
from kiln.service.secrets import Sealer
from kiln.service.signed_in import SharedSessions
from kiln.store import console_sessions
from kiln.store.accounts import credentials
from kiln.store.instances import instances
from kiln.store.tasks import tasks
from kiln.store.webhooks import webhooks
from tests.pools.kills import killed_at, points_of
from tests.service.pairs import Home, as_cloud
from tests.stock import an_instance


def reset(home):
    with hold_data_folder(home.data), assemble(home.settings, say=None) as it:
        return reset_keys(it, 5.0)


def lose(home):
    (home.data / "master.key").unlink()


def exchange(home):
    (home.data / "master.key").write_bytes(b"k" * 32)


def cut(home):
    (home.data / "master.key").write_bytes(b"half")


@pytest.fixture
def home(tmp_path):
    """Two accounts, the second with a key that is disabled, and an instance with a password."""
    home = Home(tmp_path / "home")
    with home.started() as it:
        other = keys.add(it.database, it.sealer, as_cloud(it).account, keys.ACCESS_KEY, 2.0)
        keys.disable(it.database, other.id)
        instance = an_instance(as_cloud(it), account=as_cloud(it).account)
        sealed = it.sealer.seal("Pass-word-1")
        it.database.write(lambda tx: instances.update(tx, {"password": sealed}, id=instance.id))
    return home


def secrets_of(home):
    """Every key's secret, by its ID, as the data folder's master key opens it."""
    with hold_data_folder(home.data), assemble(home.settings, say=None) as it, it.database.read() as tx:
        return {row.id: it.sealer.open(row.sealed_secret) for row in credentials.all(tx)}


def passwords_of(home):
    with hold_data_folder(home.data), assemble(home.settings, say=None) as it, it.database.read() as tx:
        return [it.sealer.open(one.password) if one.password else "" for one in instances.all(tx)]


@pytest.mark.parametrize("damage", [lose, exchange, cut])
def test_a_start_refuses_and_makes_no_second_master_key(home, damage):
    before = secrets_of(home)
    kept = (home.data / "master.key").read_bytes()
    damage(home)
    left = sorted(path.name for path in home.data.glob("master.key*"))

    with pytest.raises(SecretBroken, match=r"master\.key"):
        home.start()

    assert sorted(path.name for path in home.data.glob("master.key*")) == left
    (home.data / "master.key").write_bytes(kept)
    home.start()
    assert secrets_of(home) == before


@pytest.mark.parametrize("damage", [lose, exchange, cut])
def test_gives_every_key_a_new_secret_and_forgets_what_cannot_be_opened(home, damage):
    before = secrets_of(home)
    damage(home)

    done = reset(home)

    after = secrets_of(home)
    assert after == {pair.id: pair.secret for pair in done.pairs}
    assert after.keys() == before.keys()
    assert not set(after.values()) & set(before.values())
    assert [pair.active for pair in done.pairs].count(False) == 1
    assert len(done.forgotten) == 1
    assert passwords_of(home) == [""]
    home.start()
    assert secrets_of(home) == after


def test_keeps_passwords_and_the_old_master_key_where_that_opens_them(home):
    kept = (home.data / "master.key").read_bytes()

    done = reset(home)
    again = reset(home)

    assert done.kept.read_bytes() == kept
    assert done.kept != again.kept
    assert done.forgotten == again.forgotten == []
    assert passwords_of(home) == ["Pass-word-1"]
    assert (home.data / "master.key").stat().st_mode & 0o777 == 0o600


def test_webhooks_keep_their_secrets_where_the_old_master_key_opens_them(home):
    with home.started() as it:
        secret = as_cloud(it).call("CreateWebhook", Url="https://events.example.com/")["Secret"]

    reset(home)

    with hold_data_folder(home.data), assemble(home.settings, say=None) as it, it.database.read() as tx:
        (row,) = webhooks.all(tx)
        assert it.sealer.open(row.sealed_secret) == secret


def test_a_password_that_a_task_still_has_to_give_is_sealed_anew(tmp_path):
    home = Home(tmp_path / "home")
    with home.started() as it:
        cloud = as_cloud(it)
        instance = an_instance(cloud, account=cloud.account)
        image = cloud.call("CreateImage", InstanceId=instance.id)["ImageId"]
        cloud.settle()
        cloud.call("ReplaceSystemDisk", InstanceId=instance.id, ImageId=image, Password="Pass-word-1")

    reset(home)

    with home.started() as it:
        with it.database.read() as tx:
            (task,) = tasks.all(tx, action="ReplaceSystemDisk")
        assert it.sealer.open(json.loads(task.payload)["secrets"]["password"]) == "Pass-word-1"
        assert set(Facts.__dataclass_fields__) <= json.loads(task.payload).keys()
        as_cloud(it).settle()
        with it.database.read() as tx:
            assert it.sealer.open(instances.find(tx, id=instance.id).password) == "Pass-word-1"


def test_an_account_without_keys_gets_some(home):
    with home.started() as it:
        it.database.write(lambda tx: credentials.delete(tx, kind=keys.APP))

    done = reset(home)

    assert {pair.kind for pair in done.pairs} == set(keys.KINDS)
    assert home.start()


def test_a_kill_at_any_step_leaves_what_works_with_the_old_key_or_is_reset_again(home, tmp_path):
    before = secrets_of(home)
    whole = home.copy(tmp_path / "whole")
    points = points_of(lambda: reset(whole))
    assert [one for one in points if one.startswith(("secrets.", "resetting."))] == [
        "secrets.drafted",
        "secrets.set_aside",
        "resetting.committed",
        "secrets.replaced",
    ]
    outcomes = []
    for number, point in enumerate(points):
        folder = home.copy(tmp_path / str(number))
        assert killed_at(number, lambda folder=folder: reset(folder)), point
        try:
            folder.start()
            outcomes.append("old" if secrets_of(folder) == before else "new")
        except SecretBroken:
            outcomes.append("again")
        done = reset(folder)
        folder.start()
        assert secrets_of(folder) == {pair.id: pair.secret for pair in done.pairs}
        assert not [path for path in folder.data.glob("master.key.*") if ".before-" not in path.name]
    assert set(outcomes) == {"old", "again", "new"}


def test_a_master_key_that_cannot_be_replaced_leaves_all_as_it_was(home, monkeypatch):
    """One that is mounted: the new secrets would be in the database, and the old key in its place for good."""
    before = secrets_of(home)

    def refuse(*_):
        raise OSError(errno.EXDEV, os.strerror(errno.EXDEV), str(home.data / "master.key"))

    monkeypatch.setattr(os, "link", refuse)
    with pytest.raises(OSError, match=r"master\.key"):
        reset(home)
    monkeypatch.undo()

    assert secrets_of(home) == before
    home.start()


def test_what_is_no_key_at_all_is_replaced_too(home):
    lose(home)
    (home.data / "master.key").mkdir()
    with pytest.raises(SecretBroken):
        home.start()

    done = reset(home)

    assert done.kept.is_dir()
    assert secrets_of(home) == {pair.id: pair.secret for pair in done.pairs}
    home.start()


def test_a_link_that_leads_nowhere_is_no_place_for_a_new_key(home, tmp_path):
    """It leads to a file system that is not mounted."""
    kept = (home.data / "master.key").read_bytes()
    lose(home)
    (home.data / "master.key").symlink_to(tmp_path / "elsewhere" / "master.key")
    with pytest.raises(SecretBroken, match="is not there"):
        home.start()
    (tmp_path / "elsewhere").mkdir()
    (tmp_path / "elsewhere" / "master.key").write_bytes(kept)

    home.start()


def test_what_needs_no_secret_goes_on_without_a_master_key(home):
    lose(home)

    with assemble(home.settings, say=None) as it:
        assert len(keys.known(it.database)) == 3
        with pytest.raises(SecretBroken):
            known_keys(it.database, it.sealer, it.settings)

    assert not Sealer.in_folder(home.data).path.exists()


def test_a_first_start_that_was_killed_after_its_key_was_made_goes_on(tmp_path):
    home = Home(tmp_path / "home")
    home.data.mkdir()
    Sealer.in_folder(home.data).make_key()
    made = (home.data / "master.key").read_bytes()

    with home.started() as it:
        assert not ensure_first_account(it.database, it.sealer, home.settings, 1.0).are_new

    assert (home.data / "master.key").read_bytes() == made


def test_ends_the_consoles_sessions_and_links(home):
    """What seals them is gone, and the keys that they have are others."""
    with hold_data_folder(home.data), assemble(home.settings, say=None) as it:
        sessions = SharedSessions(it.database, it.sealer, it.ports.clock)
        pair = Keys("k", "s")
        sessions.begin(Client("http://127.0.0.1:9", *pair, "r"), pair, Who("1", ""))
        sessions.make_link(pair)
        sessions.close()

    reset(home)

    with hold_data_folder(home.data), assemble(home.settings, say=None) as it, it.database.read() as tx:
        assert (console_sessions.sessions.count(tx), console_sessions.links.count(tx)) == (0, 0)
