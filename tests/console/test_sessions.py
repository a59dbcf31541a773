"""Sessions, links and wrong tries: what holds of those in memory holds of those that processes share, at each door."""

from __future__ import annotations

import json
import threading
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack
from functools import partial

import pytest
from sqlalchemy import select

from kiln.client.client import Client
from kiln.console.attempts import MOST as MOST_TRIES
from kiln.console.attempts import MOST_PAIRS, WINDOW_S, TooMany
from kiln.console.sessions import IDLE_S, LINK_S, LONGEST_S, MOST, Keys, MemorySessions, SessionsUnavailable, Who
from kiln.service import signed_in
from kiln.service.secrets import Sealer
from kiln.service.signed_in import SharedSessions
from kiln.store import console_sessions as rows
from kiln.store.console_sessions import ConsoleTries
from kiln.store.errors import DatabaseDown

KEYS = Keys("LTAI-mine", "secret of mine")
ME = Who("1000000000000001", "acs:ram::1000000000000001:root")


class Now:
    now = 1000.0

    def __call__(self) -> float:
        return self.now


@pytest.fixture
def clock():
    return Now()


ON_SERVER = pytest.param("postgresql", marks=pytest.mark.postgresql)


@pytest.fixture
def two(request, tmp_path, clock):
    """Makes two processes' doors to the sessions that they share in a database of that kind."""
    with ExitStack() as stack:

        def make(kind: str):
            opened = request.getfixturevalue("sqlite" if kind == "sqlite" else "postgresql_opened")
            sealer = Sealer.in_folder(tmp_path)
            sealer.make_key()
            doors = [SharedSessions(opened, sealer, clock) for _ in range(2)]
            for door in doors:
                door.attach(open_client)
                stack.callback(door.close)
            return doors, opened

        yield make


@pytest.fixture(params=["memory", "sqlite", ON_SERVER])
def doors(request, two, clock):
    """The doors at which one signs in, and at which one comes next."""
    return [MemorySessions(clock)] * 2 if request.param == "memory" else two(request.param)[0]


@pytest.fixture(params=["sqlite", ON_SERVER])
def kept(request, two):
    """Two doors to what lies in a database, and that."""
    return two(request.param)


@pytest.fixture
def shared(kept):
    return kept[0]


@pytest.fixture
def database(kept):
    return kept[1]


def open_client(keys: Keys, region: str) -> Client:
    return Client("http://127.0.0.1:9", *keys, region)


def begin(sessions, who: Who = ME, **more) -> str:
    return sessions.begin(open_client(KEYS, "cn-a"), KEYS, who, ("cn-a", "cn-b"), **more)


def test_who_signed_in_at_one_door_is_signed_in_at_the_other(doors):
    one, other = doors
    name = begin(one, is_operators=True)

    found = other.find(name)

    assert (found.who, found.region, found.regions, found.is_operators) == (ME, "cn-a", ("cn-a", "cn-b"), True)
    assert (found.client.keys, found.key_id) == (tuple(KEYS), KEYS.id)
    assert other.known(name) == ME
    assert other.lives(name)
    assert other.find("another") is None


def test_a_form_of_one_door_is_sent_to_the_other(doors):
    one, other = doors
    name = begin(one)

    token = one.find(name).form_token()

    assert other.find(name).is_own(token)
    assert not other.find(begin(one)).is_own(token)


def test_who_signs_out_at_one_door_is_signed_out_at_the_other_at_once(doors):
    one, other = doors
    name, stays = begin(one), begin(one)
    assert other.find(name)

    one.end(name)

    assert (other.find(name), other.lives(name), other.known(name)) == (None, False, None)
    assert other.find(stays)


def test_a_link_is_used_once_over_all_doors(doors):
    one, other = doors
    token = one.make_link(KEYS, is_operators=True)

    with ThreadPoolExecutor(4) as threads:
        taken = [link for link in threads.map(lambda n: doors[n % 2].redeem(token), range(8)) if link is not None]

    assert [(link.keys, link.is_operators) for link in taken] == [(KEYS, True)]
    assert other.redeem("another") is None


def test_a_link_is_of_no_use_after_an_hour(doors, clock):
    token = doors[0].make_link(KEYS)
    clock.now += LINK_S

    assert doors[1].redeem(token) is None


@pytest.mark.parametrize(("step_s", "steps"), [(IDLE_S, 1), (IDLE_S - 1, LONGEST_S // (IDLE_S - 1) + 1)])
def test_a_session_ends_of_silence_and_of_age(doors, clock, step_s, steps):
    name = begin(doors[0])
    assert doors[1].find(name)
    for _ in range(steps):
        clock.now += step_s
        found = doors[1].find(name)

    assert found is None
    assert not doors[0].lives(name)


def test_what_a_page_says_to_the_next_is_said_at_the_other_door_once(doors):
    one, other = doors
    name = begin(one)
    session = one.find(name)
    session.notices.append("done")
    session.region = "cn-b"
    one.keep(name, session)

    found = other.find(name)
    said = found.notices.popleft()
    other.keep(name, found)

    assert (said, found.region) == ("done", "cn-b")
    assert list(one.find(name).notices) == []
    assert one.find(name).region == "cn-b"


def test_secrets_of_a_form_are_there_for_its_last_press_at_the_other_door(doors):
    one, other = doors
    name = begin(one)
    session = one.find(name)
    session.hold("form", {"Password": "mine"})
    one.keep(name, session)

    found = other.find(name)
    assert found.hold("form", {"UserData": "text"}) == {"Password": "mine", "UserData": "text"}
    found.held.pop("form")
    other.keep(name, found)

    assert one.find(name).held == {}


def test_two_pages_of_one_session_lose_nothing_of_each_other(shared):
    one, other = shared
    name = begin(one)
    first, second = one.find(name), other.find(name)
    first.region = "cn-b"
    first.notices.append("first")
    first.hold("form-1", {"Password": "1"})
    second.notices.append("second")
    second.hold("form-2", {"Password": "2"})
    one.keep(name, first)
    other.keep(name, second)

    found = one.find(name)
    assert (found.region, list(found.notices)) == ("cn-b", ["first", "second"])
    assert found.held == {"form-1": {"Password": "1"}, "form-2": {"Password": "2"}}


def test_what_the_master_key_has_sealed_for_something_else_is_no_session(shared, database, tmp_path):
    one, other = shared
    name = begin(one)
    sealed = Sealer.in_folder(tmp_path).seal(json.dumps([*KEYS, ME.arn, ["cn-a"], False, "00"]))
    database.write(lambda tx: rows.sessions.update(tx, {"sealed": sealed}, account=ME.account))

    assert other.find(name) is None


def test_one_account_that_signs_in_again_and_again_sends_nobody_else_away(doors, clock):
    one, other = doors
    mine, link = begin(one), one.make_link(KEYS)
    for _ in range(MOST + 6):
        clock.now += 1
        begin(other, Who("mallory", ""))
        other.make_link(Keys("mallory", "secret"))

    assert one.find(mine)
    assert one.redeem(link).keys == KEYS


def test_of_too_many_of_an_account_the_most_silent_one_ends(shared, clock):
    one, other = shared
    first, *rest = [begin(one) for _ in range(signed_in.MOST_OF_ACCOUNT)]
    clock.now += 100
    assert other.find(first)

    begin(other)

    assert other.find(first)
    assert sum(other.find(name) is None for name in rest) == 1


def test_wrong_tries_are_counted_at_all_doors_together(doors, clock):
    one, other = doors
    with ThreadPoolExecutor(4) as threads:
        tried = list(threads.map(lambda n: is_let(doors[n % 2].attempts), range(12)))

    assert tried.count(True) == MOST_TRIES
    with pytest.raises(TooMany) as refused:
        other.attempts.take("192.0.2.7", KEYS.id)
    assert refused.value.wait_s == WINDOW_S
    one.attempts.take("192.0.2.8", KEYS.id)
    one.attempts.take("192.0.2.7", "another")
    clock.now += WINDOW_S
    other.attempts.take("192.0.2.7", KEYS.id)


def is_let(attempts) -> bool:
    try:
        attempts.take("192.0.2.7", KEYS.id)
    except TooMany:
        return False
    return True


def test_a_try_that_was_none_does_not_count_and_a_right_key_is_forgiven(doors):
    one, other = doors
    for _ in range(3 * MOST_TRIES):
        one.attempts.take("192.0.2.7", KEYS.id)
        other.attempts.give_back("192.0.2.7", KEYS.id)
    for _ in range(MOST_TRIES):
        one.attempts.take("192.0.2.7", KEYS.id)
    other.attempts.forget("192.0.2.7", KEYS.id)

    assert is_let(one.attempts)


def test_wrong_tries_are_remembered_of_so_many_pairs_and_one_peer_crowds_out_itself(shared, database):
    one, other = shared
    for _ in range(MOST_TRIES):
        one.attempts.take("192.0.2.7", KEYS.id)
    crowd = [ConsoleTries(peer="m", key=f"k-{n}", count=1, until=2000.0) for n in range(MOST_PAIRS - 1)]
    database.write(lambda tx: rows.tries.insert(tx, *crowd))

    other.attempts.take("192.0.2.9", KEYS.id)

    with database.read() as tx:
        assert rows.tries.count(tx) == MOST_PAIRS
    with pytest.raises(TooMany):
        other.attempts.take("192.0.2.7", KEYS.id)


def test_nothing_in_the_database_opens_anything(shared, database):
    one, _ = shared
    name, token = begin(one), one.make_link(KEYS)
    session = one.find(name)
    session.hold("form", {"Password": "typed"})
    one.keep(name, session)
    one.attempts.take("192.0.2.7", KEYS.id)

    with database.read() as tx:
        said = repr(
            [tuple(row) for one in (rows.sessions, rows.links, rows.tries) for row in tx.execute(select(one.table))]
        )
    assert not [one for one in (name, token, KEYS.secret, "typed", "192.0.2.7", session.secret.hex()) if one in said]


def test_a_page_writes_nothing_but_once_a_minute_that_it_was_seen(shared, database, clock):
    one, other = shared
    name = begin(one)
    written = []
    database.fence = written.append

    for door in (one, other, one):
        door.keep(name, door.find(name))
    assert written == []

    clock.now += 60
    for door in (one, other, one):
        door.keep(name, door.find(name))
    assert len(written) == 1


def test_what_another_master_key_has_sealed_signs_nobody_in(shared, tmp_path):
    one, other = shared
    name, token = begin(one), one.make_link(KEYS)
    fresh = Sealer(tmp_path / "other.key")
    fresh.make_key()
    other._sealer = fresh

    assert other.find(name) is None
    assert other.redeem(token) is None


def test_a_database_that_is_away_is_told_as_that(shared, database):
    one, _ = shared
    name = begin(one)

    def away(_):
        raise DatabaseDown("it is gone")

    database.fence = away
    asked = [partial(begin, one), partial(one.end, name), partial(one.make_link, KEYS), partial(one.redeem, "a")]
    for ask in [*asked, partial(one.attempts.take, "192.0.2.7", "k")]:
        with pytest.raises(SessionsUnavailable, match="it is gone"):
            ask()


def test_what_is_over_is_removed(shared, database, clock):
    one, _ = shared
    begin(one)
    one.make_link(KEYS)
    one.attempts.take("192.0.2.7", KEYS.id)
    clock.now += LINK_S

    assert signed_in.forget(database, clock) == 2
    clock.now += IDLE_S
    assert signed_in.forget(database, clock) == 1


def test_two_threads_that_find_a_session_first_share_its_client(shared):
    one, other = shared
    name, gate = begin(one), threading.Barrier(4)

    def find(_):
        gate.wait()
        return other.find(name).client

    with ThreadPoolExecutor(4) as threads:
        assert len(set(threads.map(find, range(4)))) == 1
