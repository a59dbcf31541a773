"""Sessions in memory: what is kept, and what is forgotten."""

from __future__ import annotations

import pytest

from kiln.calls.terminals import Terminal, TerminalRefused, Terminals, TerminalStatus, hash_of


def a_session(number: int, **more) -> Terminal:
    about = {"account": "1", "region": "r", "instance": "i-1", "access_key_id": "k", "created_at": float(number)}
    return Terminal(id=f"ts-{number}", token_hash=hash_of(f"token-{number}"), **(about | more))


def test_forgets_the_oldest_that_are_over_and_none_that_is_open():
    terminals = Terminals()
    terminals.add(a_session(0))
    terminals.join("ts-0", "token-0", 1.0, lambda _: None)
    for number in range(1, 1100):
        terminals.add(a_session(number))
        terminals.end(f"ts-{number}", "done", float(number))

    kept = terminals.of_account("1", "r", 300.0)

    assert kept[0].id == "ts-1099"
    assert kept[-1].id == "ts-0"
    assert 1000 <= len(kept) <= 1002


def test_one_account_s_sessions_do_not_make_another_s_be_forgotten():
    terminals = Terminals()
    terminals.add(a_session(0, account="2"))
    terminals.end("ts-0", "done", 0.0)
    for number in range(1, 1100):
        terminals.add(a_session(number))
        terminals.end(f"ts-{number}", "done", float(number))

    assert [one.id for one in terminals.of_account("2", "r", 300.0)] == ["ts-0"]


def test_what_has_failed_or_ended_once_stays_so():
    terminals = Terminals()
    terminals.add(a_session(1))
    terminals.join("ts-1", "token-1", 2.0, lambda _: None)
    terminals.end("ts-1", "no console", 3.0, has_failed=True)
    terminals.end("ts-1", "its client left", 4.0)

    found = terminals.find("ts-1", 5.0)

    assert (found.status, found.reason, found.ended_at) == (TerminalStatus.FAILED, "no console", 3.0)


def test_a_token_is_compared_as_bytes_whatever_it_is():
    terminals = Terminals()
    terminals.add(a_session(1))

    for token in ("", "\udcff", "token-1 ", "t" * 100_000):
        with pytest.raises(TerminalRefused, match="not its token"):
            terminals.join("ts-1", token, 2.0, lambda _: None)
    assert terminals.join("ts-1", "token-1", 2.0, lambda _: None).started_at == 2.0
