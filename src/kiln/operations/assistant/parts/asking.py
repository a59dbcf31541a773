"""Asking the agents of several guests at once what they are.

A guest may answer nothing: it has a thread for some seconds, and is not asked
again meanwhile, so that whoever asks often holds no more of them.
"""

from __future__ import annotations

import threading
from collections.abc import Sequence
from concurrent.futures import Future, ThreadPoolExecutor, wait
from contextlib import suppress

from kiln.machines.errors import MachineError
from kiln.machines.port import Agent, Machines

PATIENCE_S = 3.5  #: A little more than an agent is given.
_AT_ONCE = 64

Answer = Agent

_threads = ThreadPoolExecutor(_AT_ONCE, thread_name_prefix="ask-agent")
_asked: dict[tuple[int, str], Future[Answer | None]] = {}
_asking = threading.Lock()


def ask(machines: Machines, instances: Sequence[str]) -> dict[str, Answer]:
    """What the agents of running instances say of themselves; those that do not answer in time are not in it."""
    asked = {instance: _ask(machines, instance) for instance in instances}
    wait(asked.values(), PATIENCE_S)
    answers = {instance: future.result() for instance, future in asked.items() if future.done()}
    return {instance: answer for instance, answer in answers.items() if answer is not None}


def _ask(machines: Machines, instance: str) -> Future[Answer | None]:
    key = (id(machines), instance)
    with _asking:
        known = _asked.get(key)
        if known is not None and not known.done():
            return known
        future = _asked[key] = _threads.submit(_answer, machines, instance)
    future.add_done_callback(lambda _: _asked.pop(key, None))
    return future


def _answer(machines: Machines, instance: str) -> Answer | None:
    with suppress(MachineError):
        inside = machines.inside(instance)
        # Where nothing listens nobody has to be waited for.
        if inside is not None and inside.is_there():
            return inside.about()
    return None
