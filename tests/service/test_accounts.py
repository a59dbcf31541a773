"""The first account and its keys, and who may come in."""

from __future__ import annotations

import pytest

from kiln.service import accounts
from kiln.service.accounts import AlreadyThere, StoredCredentials, ensure_first_account, known_keys
from kiln.service.errors import SecretBroken, SettingRefused
from kiln.service.keys import AccountUnknown
from kiln.service.secrets import Sealer
from kiln.service.settings import read_settings
from kiln.store import accounts as rows

#: A pair of each kind, as settings name them.
NAMED = {
    "server_access_key_id": "AKID",
    "server_access_key_secret": "S1",
    "server_app_key": "APP",
    "server_app_secret": "S2",
}


@pytest.fixture
def sealer(tmp_path):
    sealer = Sealer.in_folder(tmp_path)
    sealer.make_key()
    return sealer


def settings(tmp_path, **more):
    return read_settings({}, data=tmp_path, **more)


def test_are_made_once_and_found_again(database, sealer, tmp_path):
    first = ensure_first_account(database, sealer, settings(tmp_path), 1.0)
    again = ensure_first_account(database, sealer, settings(tmp_path), 2.0)

    assert first.are_new
    assert not again.are_new
    assert (again.access_key_id, again.access_key_secret) == (first.access_key_id, first.access_key_secret)
    assert (again.app_key, again.app_secret, again.account) == (first.app_key, first.app_secret, first.account)


def test_stay_those_of_the_oldest_account(database, sealer, tmp_path):
    """IDs are random, so the second account's may sort before the first's."""
    for account, made_at in (("9000000000000000", 1.0), ("1000000000000000", 2.0)):
        row = rows.Account(id=account, name="", created_at=made_at)
        database.write(lambda tx, row=row: rows.accounts.insert(tx, row))

    assert ensure_first_account(database, sealer, settings(tmp_path), 3.0).account == "9000000000000000"


def test_are_those_that_the_settings_name(database, sealer, tmp_path):
    ensure_first_account(database, sealer, settings(tmp_path), 1.0)
    wanted = settings(tmp_path, **NAMED)

    keys = ensure_first_account(database, sealer, wanted, 2.0)

    assert (keys.access_key_id, keys.access_key_secret, keys.app_key, keys.app_secret) == ("AKID", "S1", "APP", "S2")
    credentials = StoredCredentials(database, sealer, lambda: 3.0)
    assert credentials.access_key("AKID").secret == "S1"
    assert credentials.app("APP").account_id == keys.account


def test_another_accounts_key_is_not_taken_away(database, sealer, tmp_path):
    ensure_first_account(database, sealer, settings(tmp_path), 1.0)
    other = accounts.add_account(database, sealer, "team-b", 2.0)
    wanted = settings(tmp_path, server_access_key_id=other.access_key_id, server_access_key_secret="typo")

    with pytest.raises(SettingRefused, match="another account"):
        ensure_first_account(database, sealer, wanted, 3.0)

    key = StoredCredentials(database, sealer, lambda: 4.0).access_key(other.access_key_id)
    assert (key.account_id, key.secret) == (other.account, other.access_key_secret)


def test_are_told_as_they_are_whatever_the_settings_say(database, sealer, tmp_path):
    assert known_keys(database, sealer, settings(tmp_path)) is None
    made = ensure_first_account(database, sealer, settings(tmp_path), 1.0)
    added = settings(tmp_path, server_access_key_id="AKID", server_access_key_secret="S1")
    ensure_first_account(database, sealer, added, 2.0)

    for access_key_id, secret in (("AKID", "S1"), (made.access_key_id, made.access_key_secret)):
        asked = settings(tmp_path, server_access_key_id=access_key_id, server_access_key_secret="typo")
        told = known_keys(database, sealer, asked)
        assert (told.access_key_id, told.access_key_secret) == (access_key_id, secret)
        assert (told.account, told.app_key, told.app_secret) == (made.account, made.app_key, made.app_secret)


def test_are_not_written_again_when_the_settings_name_what_is_there(database, sealer, tmp_path):
    """A start on a full disk could not."""
    wanted = settings(tmp_path, **NAMED)
    first = ensure_first_account(database, sealer, wanted, 1.0)
    with database.read() as tx:
        before = rows.credentials.all(tx)

    again = ensure_first_account(database, sealer, wanted, 2.0)

    assert again == first
    with database.read() as tx:
        assert rows.credentials.all(tx) == before


def test_are_changed_when_the_settings_name_another_secret(database, sealer, tmp_path):
    for secret in ("S1", "S2"):
        wanted = settings(tmp_path, server_access_key_id="AKID", server_access_key_secret=secret)
        assert ensure_first_account(database, sealer, wanted, 1.0).access_key_secret == secret

    assert known_keys(database, sealer, settings(tmp_path)).access_key_secret == "S2"


def test_are_not_known_before_the_first_start(database, sealer, tmp_path):
    assert known_keys(database, sealer, settings(tmp_path)) is None


def test_no_secret_lies_in_the_database_in_the_clear(database, sealer, tmp_path):
    keys = ensure_first_account(database, sealer, settings(tmp_path), 1.0)

    with database.read() as tx:
        kept = repr(rows.credentials.all(tx))
    assert keys.access_key_secret not in kept
    assert keys.app_secret not in kept


def test_unknown_keys_do_not_come_in(database, sealer, tmp_path):
    ensure_first_account(database, sealer, settings(tmp_path), 1.0)
    credentials = StoredCredentials(database, sealer, lambda: 1.0)

    assert credentials.access_key("nobody") is None
    assert credentials.app("nobody") is None


@pytest.mark.postgresql
def test_an_id_that_no_database_takes_is_no_key(postgresql_opened, sealer):
    credentials = StoredCredentials(postgresql_opened, sealer, lambda: 1.0)

    assert credentials.access_key("a\0") is None
    assert credentials.app("a\0") is None


def test_an_app_key_is_no_access_key(database, sealer, tmp_path):
    keys = ensure_first_account(database, sealer, settings(tmp_path), 1.0)
    credentials = StoredCredentials(database, sealer, lambda: 1.0)

    assert credentials.access_key(keys.app_key) is None


def test_a_key_that_was_switched_off_is_known_so_in_seconds(database, sealer, tmp_path):
    now = [1.0]
    keys = ensure_first_account(database, sealer, settings(tmp_path), 1.0)
    credentials = StoredCredentials(database, sealer, lambda: now[0])
    assert credentials.access_key(keys.access_key_id).active

    database.write(lambda tx: rows.credentials.update(tx, {"active": False}, id=keys.access_key_id))
    now[0] += 10

    assert not credentials.access_key(keys.access_key_id).active


def test_more_accounts_have_keys_users_and_groups_of_their_own(database, sealer, tmp_path):
    first = ensure_first_account(database, sealer, settings(tmp_path), 1.0)
    second = accounts.add_account(database, sealer, "team-b", 2.0)
    accounts.add_user(database, second.account, "a@example.com")
    accounts.add_resource_group(database, second.account, "rg-b")

    assert accounts.names(database) == {first.account: "first", second.account: "team-b"}
    credentials = StoredCredentials(database, sealer, lambda: 3.0)
    assert credentials.users(second.account) == {"a@example.com"}
    assert credentials.users(first.account) == frozenset()
    with pytest.raises(AccountUnknown):
        accounts.add_user(database, "nobody", "a@example.com")


@pytest.mark.parametrize("add", [accounts.add_user, accounts.add_resource_group])
def test_what_is_added_twice_is_said_to_be_there(database, sealer, add):
    team = accounts.add_account(database, sealer, "team-b", 1.0).account
    other = accounts.add_account(database, sealer, "team-c", 2.0).account
    add(database, team, "name")
    add(database, other, "name")

    with pytest.raises(AlreadyThere, match=f"{team}.*name"):
        add(database, team, "name")


def test_named_by_the_settings_and_switched_off_stays_so(database, sealer, tmp_path):
    """A start would have let a key in again that somebody had seen."""
    made = ensure_first_account(database, sealer, settings(tmp_path), 1.0)
    wanted = settings(tmp_path, server_access_key_id="AKID", server_access_key_secret="S1")
    ensure_first_account(database, sealer, wanted, 2.0)
    database.write(lambda tx: rows.credentials.update(tx, {"active": False}, id="AKID"))

    keys = ensure_first_account(database, sealer, wanted, 3.0)

    assert (keys.access_key_id, keys.are_new) == (made.access_key_id, False)
    assert not StoredCredentials(database, sealer, lambda: 4.0).access_key("AKID").active
    assert accounts.switched_off(database, wanted) == ["AKID"]
    assert accounts.switched_off(database, settings(tmp_path)) == []


def test_are_not_made_again_where_all_were_switched_off(database, sealer, tmp_path):
    made = ensure_first_account(database, sealer, settings(tmp_path), 1.0)
    database.write(lambda tx: rows.credentials.update(tx, {"active": False}, id=made.access_key_id))

    keys = ensure_first_account(database, sealer, settings(tmp_path), 2.0)

    assert (keys.access_key_id, keys.app_key, keys.are_new) == ("", made.app_key, False)
    with database.read() as tx:
        assert rows.credentials.count(tx) == 2
    assert accounts.keys_where_none_are(database, sealer, settings(tmp_path), 3.0) == []


def test_nothing_is_sealed_by_a_master_key_that_opens_no_secret(database, sealer, tmp_path):
    """Else one half of the secrets would need one master key, and the other half another."""
    ensure_first_account(database, sealer, settings(tmp_path), 1.0)
    (tmp_path / "master.key").write_bytes(b"k" * 32)
    other = Sealer.in_folder(tmp_path)

    for act in (
        lambda: ensure_first_account(database, other, settings(tmp_path), 2.0),
        lambda: accounts.add_account(database, other, "team-b", 2.0),
    ):
        with pytest.raises(SecretBroken, match="another master key"):
            act()

    with database.read() as tx:
        assert (rows.accounts.count(tx), rows.credentials.count(tx)) == (1, 2)


def test_a_key_that_was_switched_off_is_told_to_be_that_also_where_its_secret_is_lost(database, sealer, tmp_path):
    keys = ensure_first_account(database, sealer, settings(tmp_path), 1.0)
    lost = {"active": False, "sealed_secret": "v1:lost"}
    database.write(lambda tx: rows.credentials.update(tx, lost, id=keys.access_key_id))

    assert not StoredCredentials(database, sealer, lambda: 1.0).access_key(keys.access_key_id).active
