"""Keys for a while: what AssumeRole gives signs as the account does, with its token, until its time is over."""

from __future__ import annotations

import base64
import json
from urllib.parse import urlencode

import pytest

from kiln.calls.sessions import Session, SessionKey, from_text, to_text
from kiln.ground.clock import to_seconds_text
from kiln.service import keys
from kiln.service.accounts import StoredCredentials
from kiln.service.secrets import Sealer
from kiln.store import accounts
from kiln.store.accounts import Account
from kiln.store.instances import instances
from kiln.upkeep.describing import key_of_role
from kiln.wire.gateway import Gateway
from kiln.wire.nonces import MemoryNonces
from kiln.wire.signatures import rpc
from tests.catalogue import key_of
from tests.clouds import OTHER, make_cloud
from tests.fuzz.requests import a_nonce
from tests.fuzz.target import read
from tests.reading import the
from tests.stock import an_instance
from tests.wire.raw import raw_request

ROLE = "acs:ram::{}:role/packer"


class Home:
    """A Kiln with two accounts and a key of each, and who asks it."""

    def __init__(self, folder, database):
        sealer = Sealer.in_folder(folder)
        sealer.make_key()
        self.cloud = make_cloud(folder, database)
        self.cloud.refit(seal=sealer.seal)
        self.credentials = StoredCredentials(database, sealer, clock=lambda: self.steady)
        self.steady = 0.0
        self.database, self.sealer = database, sealer
        self.gateway = Gateway(self.cloud.dispatcher, self.credentials, MemoryNonces(), self.cloud.clock)
        self.pairs = {}
        for account in (self.cloud.account, OTHER):
            if not self.has(account):
                database.write(
                    lambda tx, account=account: accounts.accounts.insert(
                        tx, Account(id=account, name=account, created_at=1.0)
                    )
                )
            pair = keys.add(database, sealer, account, keys.ACCESS_KEY, 1.0)
            self.pairs[account] = {"id": pair.id, "secret": pair.secret, "token": ""}

    def has(self, account):
        with self.database.read() as tx:
            return accounts.accounts.find(tx, id=account) is not None

    @property
    def own(self):
        return self.pairs[self.cloud.account]

    def ask(self, action, signer, path="/", **params):
        asked = key_of(action)
        given = {"Action": asked.action, "Version": asked.product.version, "Format": "JSON", **params}
        signed = rpc.sign(
            given | {"SecurityToken": signer["token"]},
            method="POST",
            key_id=signer["id"],
            secret=signer["secret"],
            timestamp=to_seconds_text(self.cloud.clock()),
            nonce=a_nonce(),
        )
        request = raw_request("POST", f"{path}?{urlencode(signed)}", [("host", "h")], b"")
        answer = self.gateway.answer(request)
        return answer.status, read(answer)

    def take(self, signer=None, **more):
        arn = ROLE.format(self.cloud.account)
        status, told = self.ask("AssumeRole", signer or self.own, RoleArn=arn, RoleSessionName="alice", **more)
        assert status == 200, told
        key = told["Credentials"]
        return {"id": key["AccessKeyId"], "secret": key["AccessKeySecret"], "token": key["SecurityToken"]}

    def refused(self, signer):
        return self.ask("DescribeRegions", signer)[1].get("Code")


@pytest.fixture
def home(tmp_path, sqlite):
    return Home(tmp_path, sqlite)


@pytest.mark.parametrize("path", ["/", "/asapi/v3"])
def test_signs_as_its_account_and_says_which_role_it_is(home, path):
    taken = home.take()

    status, told = home.ask("GetCallerIdentity", taken, path)

    assert (status, told["IdentityType"], told["AccountId"]) == (200, "AssumedRoleUser", home.cloud.account)
    assert told["Arn"] == f"acs:ram::{home.cloud.account}:assumed-role/packer/alice"
    assert told["PrincipalId"] == f"{told['RoleId']}:alice"
    assert "UserId" not in told
    assert taken["id"].startswith("STS.")
    assert home.refused(taken) is None


def test_lives_as_long_as_was_asked_for(home):
    taken = home.take(DurationSeconds="900")
    home.cloud.clock.now += 880
    assert home.refused(taken) is None

    home.cloud.clock.now += 20

    assert home.refused(taken) == "InvalidSecurityToken.Expired"


def test_needs_its_token_and_no_other(home):
    one, other = home.take(), home.take()

    assert home.refused(one | {"token": ""}) == "MissingSecurityToken"
    assert home.refused(one | {"token": other["token"]}) == "InvalidSecurityToken.MismatchWithAccessKey"
    assert home.refused(home.own | {"token": one["token"]}) == "InvalidSecurityToken.MismatchWithAccessKey"
    assert home.refused(one | {"secret": other["secret"]}) == "SignatureDoesNotMatch"
    assert home.refused(one) is None


def test_a_token_that_was_touched_is_none(home):
    taken = home.take()
    raw = base64.b64decode(taken["token"].removeprefix("v1:"))
    touched = [bytes([*raw[:n], raw[n] ^ 1, *raw[n + 1 :]]) for n in (0, 12, 20, len(raw) - 1)]
    tokens = ["v1:" + base64.b64encode(one).decode() for one in touched]

    for token in (
        *tokens,
        "v1:",
        "token",
        "é",
        "v1:" + "A" * 9000,
        taken["token"][:-8],
        home.sealer.seal("Pass-word-1"),
    ):
        assert home.refused(taken | {"token": token}) == "InvalidSecurityToken.Malformed"


def test_a_token_of_another_master_key_is_none(home, tmp_path):
    (folder := tmp_path / "other").mkdir()
    sealer = Sealer.in_folder(folder)
    sealer.make_key()
    session = Session(role="r", name="n", parent=home.own["id"], expires_at=9e9)
    made = SessionKey(key_id="STS.x", secret="s", account=home.cloud.account, session=session)

    assert home.refused({"id": "STS.x", "secret": "s", "token": sealer.seal(to_text(made))}) == (
        "InvalidSecurityToken.Malformed"
    )


def test_ends_with_the_key_that_asked_for_it_and_with_no_other(home):
    taken = home.take()
    again = home.take(taken)

    keys.disable(home.database, home.pairs[OTHER]["id"])
    assert (home.refused(taken), home.refused(again)) == (None, None)

    keys.disable(home.database, home.own["id"])
    home.steady += 60

    assert (home.refused(taken), home.refused(again)) == ("InvalidAccessKeyId.Inactive",) * 2


def of_guest(home, instance):
    """What a program in the guest signs with."""
    told = json.loads(key_of_role(home.cloud.ports, instance))
    assert told["Code"] == "Success"
    return {"id": told["AccessKeyId"], "secret": told["AccessKeySecret"], "token": told["SecurityToken"]}


def test_a_guest_signs_as_the_role_of_its_instance(home):
    instance = an_instance(home.cloud, ram_role="build")
    key = of_guest(home, instance)

    status, told = home.ask("GetCallerIdentity", key)
    assert (status, told["AccountId"]) == (200, home.cloud.account)
    assert told["Arn"] == f"acs:ram::{home.cloud.account}:assumed-role/build/{instance.id}"

    home.cloud.clock.now += 6 * 3600
    assert home.refused(key) == "InvalidSecurityToken.Expired"


@pytest.mark.parametrize("end", ["the instance is gone", "it has no role any more", "it has another role"])
def test_a_guest_s_keys_end_with_the_role_of_its_instance_and_so_do_those_that_were_taken_with_them(home, end):
    instance = an_instance(home.cloud, ram_role="build")
    key = of_guest(home, instance)
    taken = home.take(key)
    sealed = home.credentials.session(taken["token"])
    keys.disable(home.database, home.own["id"])
    home.steady += 60
    assert (home.refused(key), home.refused(taken), home.gateway.is_in_use(sealed)) == (None, None, True)

    if end == "the instance is gone":
        home.database.write(lambda tx: instances.delete(tx, id=instance.id))
    else:
        role = "test" if end == "it has another role" else ""
        home.database.write(lambda tx: instances.update(tx, {"ram_role": role}, id=instance.id))

    assert (home.refused(key), home.refused(taken)) == ("InvalidAccessKeyId.NotFound",) * 2
    assert not home.gateway.is_in_use(sealed)


def test_a_role_that_was_taken_and_is_given_again_revives_no_key(home):
    instance = an_instance(home.cloud, ram_role="build")
    named = {"InstanceIds": json.dumps([instance.id]), "RamRoleName": "build"}
    for _ in range(2):
        key = of_guest(home, the(home.cloud, instances, id=instance.id))
        taken = home.take(key)
        assert (home.refused(key), home.refused(taken)) == (None, None)

        home.cloud.call("DetachInstanceRamRole", **named)
        home.cloud.call("AttachInstanceRamRole", **named)

        assert (home.refused(key), home.refused(taken)) == ("InvalidAccessKeyId.NotFound",) * 2


def test_an_instance_that_has_its_role_still_keeps_its_keys(home):
    instance = an_instance(home.cloud, ram_role="build")
    key = of_guest(home, instance)

    home.cloud.call("AttachInstanceRamRole", InstanceIds=json.dumps([instance.id]), RamRoleName="build")
    home.cloud.call("DetachInstanceRamRole", InstanceIds=json.dumps([instance.id]), RamRoleName="another")

    assert home.refused(key) is None


def test_nobody_signs_as_an_instance_without_its_token(home):
    instance = an_instance(home.cloud, ram_role="build")

    for key_id in (instance.id, f"instance/{instance.id}"):
        assert home.refused({"id": key_id, "secret": "", "token": ""}) == "InvalidAccessKeyId.NotFound"


def test_is_known_to_a_kiln_that_was_started_again(home):
    taken = home.take()

    home.gateway = Gateway(
        home.cloud.dispatcher, StoredCredentials(home.database, home.sealer), MemoryNonces(), home.cloud.clock
    )

    assert home.refused(taken) is None


def test_a_stream_ends_with_its_time(home):
    taken = home.take()
    key = home.credentials.session(taken["token"])
    assert home.gateway.is_in_use(key)

    home.cloud.clock.now += 3601

    assert not home.gateway.is_in_use(key)


def test_reads_what_it_wrote_and_nothing_else():
    session = Session(role="r", name="n", parent="p", expires_at=1.5)
    key = SessionKey(key_id="STS.x", secret="s", account="1", session=session)

    assert from_text(to_text(key)) == key
    assert from_text("Pass-word-1") is None
    assert from_text(json.dumps(["session"])) is None
