"""How a client waits for what it has asked for, and what that took."""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import Any, NamedTuple

from bench.server import Server
from kiln.client.client import Client

_PATIENCE_S = 300.0
IDLE_S = 0.8  #: So long a pause, Kiln has made ready what the next capture needs.
GENTLE_S = 0.002  #: A pause between two looks that leaves the server its core.


_RESTING = 0.02  #: Of a core, at the most.


class Wait(NamedTuple):
    """What one action took, in seconds from the call."""

    answered_s: float
    done_s: float


def rest() -> None:
    """Leave Kiln alone for a moment, as a customer does between two images of one instance."""
    time.sleep(IDLE_S)


def settle(server: Server) -> None:
    """Wait until the server has done what a start leaves to do beside requests, and rests. Raises TimeoutError."""
    before = server.cpu_s

    def rests() -> bool:
        nonlocal before
        time.sleep(IDLE_S)
        used, before = server.cpu_s - before, server.cpu_s
        return used < _RESTING * IDLE_S

    _until(rests)


def create_image(client: Client, instance: str, pause_s: float = 0.0) -> Wait:
    """CreateImage of an instance, from the call until DescribeImages says Available.

    Asked without a pause when *pause_s* is 0. On few cores that takes away
    from the server what it needs to be done, so a short pause can be quicker.
    """
    began = time.perf_counter()
    image = client.call("CreateImage", InstanceId=instance)["ImageId"]
    answered_s = time.perf_counter() - began
    _until(lambda: _status(client, image) == "Available", pause_s)
    return Wait(answered_s, time.perf_counter() - began)


class Launch(NamedTuple):
    """What RunInstances took, in seconds from the call."""

    answered_s: float
    disk_s: float  #: Until the instance is not Pending any more: its disks are there, and its machine is to start.
    done_s: float


def run_instance(client: Client, image: str, instance_type: str) -> Launch:
    """RunInstances of one instance, from the call until DescribeInstances, asked gently, says Running."""
    began = time.perf_counter()
    answer = client.call("RunInstances", ImageId=image, InstanceType=instance_type, Amount=1)
    (instance,) = answer["InstanceIdSets"]["InstanceIdSet"]
    answered_s = time.perf_counter() - began
    disk_s: list[float] = []

    def runs() -> bool:
        (found,) = client.call("DescribeInstances", InstanceIds=[instance])["Instances"]["Instance"]
        if found["Status"] != "Pending" and not disk_s:
            disk_s.append(time.perf_counter() - began)
        return bool(found["Status"] == "Running")

    _until(runs, GENTLE_S)
    return Launch(answered_s, disk_s[0], time.perf_counter() - began)


def until_instance(client: Client, instance: str, status: str) -> None:
    """Ask without a pause until the instance has that status."""

    def has_it() -> bool:
        found = client.call("DescribeInstances", InstanceIds=[instance])["Instances"]["Instance"]
        return bool(found) and found[0]["Status"] == status

    _until(has_it)


def _status(client: Client, image: str) -> Any:
    return client.call("DescribeImages", ImageId=image, Status="ALL")["Images"]["Image"][0]["Status"]


def _until(is_so: Callable[[], bool], pause_s: float = 0.0) -> None:
    deadline = time.monotonic() + _PATIENCE_S
    while not is_so():
        if time.monotonic() > deadline:
            raise TimeoutError(f"not after {_PATIENCE_S:.0f} s")
        if pause_s:
            time.sleep(pause_s)
