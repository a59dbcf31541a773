from __future__ import annotations

import threading

from kiln.wire.paths.turns import PeerTurns


class Hands:
    """Runs what it is given when told to: threads whose every step a test chooses."""

    def __init__(self):
        self.begun = []

    def __call__(self, work):
        self.begun.append(work)

    def run(self):
        """Have the oldest that was begun run to its end."""
        self.begun.pop(0)()


def run(*peers, at_once=1):
    """In which order these are answered when all ask before any is, and how many threads began for them."""
    hands, answered = Hands(), []
    turns = PeerTurns(at_once, hands)
    for peer in peers:
        turns.want(peer, lambda _, peer=peer: answered.append(peer))
    threads = len(hands.begun)
    while hands.begun:
        hands.run()
    return answered, threads


def test_peers_take_turns():
    assert run("a", "a", "a", "a", "b", "c", "b") == (list("abcabaa"), 1)


def test_has_several_at_once_and_no_more():
    assert run("a", "a", "b", at_once=3)[1] == 3
    assert run("a", "a", "b", "c", at_once=3)[1] == 3


def test_what_nobody_has_begun_can_be_forgotten():
    hands, answered = Hands(), []
    turns = PeerTurns(1, hands)
    turns.want("a", lambda _: (answered.append("first"), turns.clear()))
    turns.want("a", lambda _: answered.append("second"))
    hands.run()
    turns.want("a", lambda _: answered.append("third"))
    hands.run()

    assert answered == ["first", "third"]


def test_a_turn_ended_early_is_passed_on_once():
    hands, answered = Hands(), []
    turns = PeerTurns(1, hands)

    def first(end):
        end()
        end()
        answered.append(f"{len(hands.begun)} other began")

    turns.want("a", first)
    turns.want("a", lambda _: answered.append("second"))
    hands.run()
    assert answered == ["1 other began"]

    turns.want("a", lambda _: answered.append("third"))
    assert len(hands.begun) == 1  # The turn is had, by the one that began.
    hands.run()
    assert answered == ["1 other began", "second", "third"]
    turns.want("a", lambda _: answered.append("fourth"))
    assert len(hands.begun) == 1


def test_a_turn_ended_early_with_nobody_waiting_is_free():
    hands = Hands()
    turns = PeerTurns(1, hands)
    turns.want("a", lambda end: (end(), turns.want("b", lambda _: None)))
    hands.run()

    assert len(hands.begun) == 1


def test_jobs_wait_for_a_thread_that_comes_back_soon():
    hands, answered = Hands(), []
    turns = PeerTurns(2, hands, patience_s=3600.0)
    for n in range(3):
        turns.want("a", lambda _, n=n: answered.append(n))
    turns.hurry()

    assert (len(hands.begun), turns.is_pressed) == (1, True)
    hands.run()
    assert (answered, turns.is_pressed) == ([0, 1, 2], False)


def test_another_thread_begins_where_one_has_not_come_back():
    """The first job waits for the second, which only another thread can do."""
    both, done = PeerTurns(2, lambda work: threading.Thread(target=work, daemon=True).start(), 0.01), threading.Event()
    is_second_done, heard = threading.Event(), []
    both.want("a", lambda _: (heard.append(is_second_done.wait(300)), done.set()))
    both.want("a", lambda _: is_second_done.set())
    while not done.wait(0.01):
        both.hurry()

    assert heard == [True]
