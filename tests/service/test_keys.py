"""Key pairs of accounts: made, switched off and on, replaced, removed."""

from __future__ import annotations

import pytest

from kiln.operations import CATALOGUE
from kiln.service import keys
from kiln.service.accounts import KEPT_S, StoredCredentials, ensure_first_account
from kiln.service.errors import SecretBroken
from kiln.service.keys import ACCESS_KEY, APP, KINDS, AccountUnknown, KeyKept, KeyUnknown
from kiln.service.secrets import Sealer
from kiln.service.settings import read_settings
from kiln.wire.dispatch import Dispatcher
from kiln.wire.gateway import Gateway
from kiln.wire.nonces import MemoryNonces
from tests.clouds import REGION, make_cloud
from tests.fuzz.requests import APP_KEY, APP_SECRET, KEY_ID, SECRET, WAYS
from tests.fuzz.target import read


@pytest.fixture
def sealer(tmp_path):
    sealer = Sealer.in_folder(tmp_path)
    sealer.make_key()
    return sealer


@pytest.fixture
def first(database, sealer, tmp_path):
    return ensure_first_account(database, sealer, read_settings({}, data=tmp_path), 1.0)


def key(database, sealer, kind, key_id):
    credentials = StoredCredentials(database, sealer, lambda: 1.0)
    return credentials.app(key_id) if kind == APP else credentials.access_key(key_id)


@pytest.mark.parametrize("kind", KINDS)
def test_another_lets_in_beside_the_first(database, sealer, first, kind):
    made = keys.add(database, sealer, first.account, kind, 2.0)

    found = key(database, sealer, kind, made.id)
    assert (found.secret, found.account_id, found.active) == (made.secret, first.account, True)
    assert key(database, sealer, ACCESS_KEY, first.access_key_id).active
    assert [row.id for row in keys.known(database, first.account) if row.kind == kind][-1] == made.id


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("is_old_disabled", [True, False])
def test_rotating_makes_one_of_the_same_kind_beside_the_old_one(database, sealer, first, kind, is_old_disabled):
    old = first.app_key if kind == APP else first.access_key_id

    made = keys.rotate(database, sealer, old, 2.0, is_old_disabled=is_old_disabled)

    assert (made.kind, made.account) == (kind, first.account)
    assert key(database, sealer, kind, made.id).secret == made.secret
    assert key(database, sealer, kind, old).active is not is_old_disabled


def test_one_that_is_off_can_be_switched_on_again(database, sealer, first):
    keys.disable(database, first.access_key_id)
    keys.disable(database, first.access_key_id)
    assert not key(database, sealer, ACCESS_KEY, first.access_key_id).active

    keys.enable(database, sealer, first.access_key_id)

    assert key(database, sealer, ACCESS_KEY, first.access_key_id).secret == first.access_key_secret


def test_only_one_that_is_off_is_removed_and_never_the_last_of_its_kind(database, sealer, first):
    with pytest.raises(KeyKept, match="is active"):
        keys.delete(database, first.access_key_id)
    keys.disable(database, first.access_key_id)
    with pytest.raises(KeyKept, match="the last of its kind"):
        keys.delete(database, first.access_key_id)
    keys.add(database, sealer, first.account, ACCESS_KEY, 2.0)

    keys.delete(database, first.access_key_id)

    assert key(database, sealer, ACCESS_KEY, first.access_key_id) is None


def test_what_there_is_not_is_told(database, sealer, first):
    for act in (
        lambda: keys.disable(database, "nobody"),
        lambda: keys.enable(database, sealer, "nobody"),
        lambda: keys.delete(database, "nobody"),
        lambda: keys.rotate(database, sealer, "nobody", 2.0, is_old_disabled=True),
    ):
        with pytest.raises(KeyUnknown, match="nobody"):
            act()
    for act in (lambda: keys.add(database, sealer, "1", APP, 2.0), lambda: keys.known(database, "1")):
        with pytest.raises(AccountUnknown):
            act()
    assert len(keys.known(database)) == 2


def test_nothing_is_changed_under_a_master_key_that_does_not_fit(database, first, tmp_path):
    (tmp_path / "master.key").unlink()
    other = Sealer.in_folder(tmp_path)
    before = keys.known(database)

    for act in (
        lambda: keys.add(database, other, first.account, APP, 2.0),
        lambda: keys.rotate(database, other, first.app_key, 2.0, is_old_disabled=True),
        lambda: keys.enable(database, other, first.app_key),
    ):
        with pytest.raises(SecretBroken):
            act()

    assert keys.known(database) == before


@pytest.mark.parametrize("way", WAYS)
def test_one_that_is_off_is_refused_at_every_door_within_seconds(database, sealer, tmp_path, way):
    cloud = make_cloud(tmp_path, database)
    named = {
        "server_access_key_id": KEY_ID,
        "server_access_key_secret": SECRET,
        "server_app_key": APP_KEY,
        "server_app_secret": APP_SECRET,
    }
    ensure_first_account(database, sealer, read_settings({}, data=tmp_path, **named), 1.0)
    steady = [0.0]
    credentials = StoredCredentials(database, sealer, lambda: steady[0])
    gateway = Gateway(Dispatcher(CATALOGUE, cloud.ports), credentials, MemoryNonces(), cloud.clock)

    def ask():
        answer = gateway.answer(way("DescribeRegions", {"RegionId": REGION}, cloud.clock()))
        return answer.status, read(answer).get("Code"), dict(answer.headers).get("x-ca-error-code")

    assert ask()[0] == 200
    for key_id in (KEY_ID, APP_KEY):
        keys.disable(database, key_id)
    steady[0] += KEPT_S

    status, code, gateway_code = ask()

    assert (status, code) == (400, "InvalidAccessKeyId.Inactive")
    assert gateway_code in (None, "A400IK")
    for key_id in (KEY_ID, APP_KEY):
        keys.enable(database, sealer, key_id)
    steady[0] += KEPT_S
    assert ask()[0] == 200
