"""Machines that are only states, with a real guest's agent in them: what runs in a guest runs on this host."""

from __future__ import annotations

import time
from collections.abc import Mapping
from pathlib import Path

from kiln.machines.errands import QemuInside
from kiln.machines.none import NoMachines
from tests.clouds import Cloud
from tests.machines.agents import inside

_LIMIT_S = 300.0


class Attended(NoMachines):
    """*folders* are those of ``open_agent``, by the instance whose guest each stands for."""

    def __init__(self, folder: Path, folders: Mapping[str, Path]) -> None:
        super().__init__(folder)
        self._folders = folders

    def inside(self, instance: str) -> QemuInside | None:
        return Unseen(self._folders[instance]) if self.is_running(instance) and instance in self._folders else None


class Unseen(QemuInside):
    """There is no QEMU that could be asked whether an agent listens."""

    def __init__(self, folder: Path) -> None:
        made = inside(folder)
        super().__init__(made._folder, made._home)

    def is_there(self) -> bool:
        return self._folder.agent.exists()


def outcome(cloud: Cloud, invoke: str, action: str = "DescribeInvocationResults") -> dict:
    """How an invocation on one instance ended; waits for that."""
    deadline = time.monotonic() + _LIMIT_S
    while True:
        cloud.clock.now += 3.0
        cloud.settle()
        answer = cloud.call(action, InvokeId=invoke, ContentEncoding="PlainText" if "Send" not in action else None)
        if action == "DescribeSendFileResults":
            (found,) = answer["Invocations"]["Invocation"][0]["InvokeInstances"]["InvokeInstance"]
        else:
            (found,) = answer["Invocation"]["InvocationResults"]["InvocationResult"]
        if not cloud.open_tasks():
            return found
        assert time.monotonic() < deadline, found
