"""Who looks at what has just begun to change: answered when it is at rest, or after a moment, without a thread."""

from __future__ import annotations

import time

import pytest

from kiln.store.changes import Change
from kiln.store.line import Hands
from kiln.store.settling import Settling

INSTANCE, OTHER, IMAGE = "i-" + 20 * "a", "i-" + 20 * "b", "m-" + 20 * "a"


class Clockwork:
    """Hands that keep what they are to do, and the seconds after which."""

    def __init__(self):
        self.soon, self.later = [], []
        self.hands = Hands(self.soon.append, later=lambda seconds, job: self.later.append((seconds, job)))

    def run(self):
        while self.soon:
            self.soon.pop(0)()


@pytest.fixture
def clockwork():
    return Clockwork()


@pytest.fixture
def settling():
    return Settling(60.0)


def began(id_, *, account="1", noun="instance", old="Stopped", new="Starting", **more):
    return Change(noun, id_, old, new, account, **more)


def ended(id_, *, account="1", new: str | None = "Running"):
    return Change("instance", id_, "Starting", new, account)


@pytest.mark.parametrize("text", [INSTANCE, f'["{OTHER}", "{INSTANCE}"]', f"{IMAGE},{INSTANCE}"])
def test_finds_what_a_request_names(settling, text):
    settling.put([began(INSTANCE)])

    assert settling.named_in("1", ["cn-hangzhou", text]) == {("1", INSTANCE)}


@pytest.mark.parametrize(
    "change",
    [
        began(INSTANCE, account="2"),  # Else who guesses would learn from the time that it takes.
        began(INSTANCE, is_shown=False),
        began(INSTANCE, old="Starting"),  # It has been so before, and only its progress is told.
        began(INSTANCE, new="Running"),
        began(INSTANCE[:-1] + "?"),
    ],
)
def test_nobody_waits_for_anything_else(settling, change):
    settling.put([change])

    assert settling.named_in("1", [INSTANCE]) == set()


@pytest.mark.parametrize("new", ["Running", None])
def test_who_waits_goes_on_when_all_is_at_rest(settling, clockwork, new):
    told = []
    settling.put([began(INSTANCE), began(IMAGE, noun="image", old=None, new="Creating")])
    assert settling.when_at_rest({("1", INSTANCE), ("1", IMAGE)}, clockwork.hands, lambda: told.append("rest"))

    settling.put(
        [began(INSTANCE, old="Starting", new="Stopping"), Change("image", IMAGE, "Creating", "Available", "1")]
    )
    assert not clockwork.soon
    settling.put([ended(INSTANCE, new=new)])
    assert not told  # Not on the thread of whoever has committed that.
    clockwork.run()
    clockwork.later[0][1]()  # Its moment is over, and it has gone on.

    assert told == ["rest"]


def test_a_million_letters_are_read_once(settling):
    settling.put([began(INSTANCE)])

    # Read again from each letter on it took an hour, in which nobody else was answered.
    assert settling.named_in("1", ["x" * (1 << 20), INSTANCE]) == {("1", INSTANCE)}


def test_who_waits_goes_on_after_a_moment(settling, clockwork):
    told = []
    settling.put([began(INSTANCE)])
    settling.when_at_rest({("1", INSTANCE)}, clockwork.hands, lambda: told.append("moment"))
    ((seconds, over),) = clockwork.later
    assert 0 < seconds <= 60

    over()
    settling.put([ended(INSTANCE)])
    clockwork.run()

    assert told == ["moment"]


def test_the_moment_is_one_for_all_who_look(clockwork):
    settling = Settling(0.0)
    settling.put([began(INSTANCE)])
    time.sleep(0.001)  # The clock has moved on.

    assert not settling.when_at_rest({("1", INSTANCE)}, clockwork.hands, pytest.fail)
    assert settling.named_in("1", [INSTANCE]) == set()
    settling.put([began(IMAGE)])
    assert settling.remembered == 1  # What began before is forgotten, or they would pile up.


def test_nobody_is_kept_who_cannot_come_back(settling):
    settling.put([began(INSTANCE)])

    assert not settling.when_at_rest({("1", INSTANCE)}, Hands(pytest.fail), pytest.fail)
