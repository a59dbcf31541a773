"""Limits that Kiln gives to QEMU and to a guest's agent, lengthened for tests of machines that are well.

On a host that does twenty other things, or stands still for half a minute, a
machine that is well keeps none of them. What comes of that is tested with
machines that are not well (test_hostile), under the limits that Kiln has.
"""

from __future__ import annotations

import pytest

from kiln.machines import agent, errands, guest, logs, moving, qemu, qmp, readiness, restarting

LIMIT_S = 300.0
_LIMITS = (
    (agent, "THAW_TIMEOUT_S"),
    (errands, "BEGIN_S"),
    (errands, "CONVERSATION_S"),
    (errands, "PASSWORD_S"),
    (errands, "_QMP_S"),
    (guest, "QUIESCE_LIMIT_S"),
    (guest, "_AHEAD_TIMEOUT_S"),
    (guest, "_HAS_NODE_TIMEOUT_S"),
    (guest, "_SWITCH_TIMEOUT_S"),
    (logs, "_SETTLE_S"),
    (moving, "STILL_S"),
    (moving, "_SETTLE_S"),
    (qemu, "END_TIMEOUT_S"),
    (qemu, "QUIESCE_LIMIT_S"),
    (qemu, "TIMEOUT_S"),
    (qemu, "_WAKE_TIMEOUT_S"),
    (qmp, "TIMEOUT_S"),
    (readiness, "_END_TIMEOUT_S"),
    (readiness, "_START_TIMEOUT_S"),
    (restarting, "_ANSWER_TIMEOUT_S"),
)


@pytest.fixture
def patient(monkeypatch):
    """Whatever is asked of a machine may take it five minutes."""
    for module, name in _LIMITS:
        assert getattr(module, name) < LIMIT_S, f"{name} is long enough by itself"
        monkeypatch.setattr(module, name, LIMIT_S)
