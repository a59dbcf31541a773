"""Kiln and its peers as one client sees them: how each is started, and how each work is asked for there.

A work that one of them lacks is tried all the same, and what it answers decides
whether it is measured: what is told of a peer is never out of date.
"""

from __future__ import annotations

import itertools
import json
import random
import re
import time
import urllib.request
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Protocol

import kiln
from bench import load, peers
from bench.peers import Peer, start_peer
from bench.server import REGION, Server, start_server
from bench.stock import open_stock

PAGE = 100
INSTANCES = 96  #: Of Kiln.
_PATIENCE_S = 300.0
_PAUSE_S = 0.005
_IMAGE_ID = re.compile(r"<imageId>(ami-\w+)</imageId>")
_CODE = re.compile(r"<Code>([\w.]+)</Code>")

#: Requests to measure by, or the reason why there are none.
Requests = Sequence[bytes] | str


class Contender(Protocol):
    """One that is measured, while it serves."""

    title: str
    server: Server

    def of_instance(self, count: int) -> Requests:
        """So many requests for an image of an instance."""

    def of_snapshot(self, count: int) -> Requests:
        """So many requests for an image of a snapshot."""

    def by_id(self, count: int) -> Requests:
        """So many requests for one image by its ID."""

    def by_ids(self, count: int) -> Requests:
        """So many requests for a hundred images by their IDs."""

    def page(self, count: int) -> Requests:
        """So many requests for a page of a hundred images."""

    def until_usable(self) -> None:
        """Return when every image that was asked for can be used. Raises TimeoutError."""


class Kiln:
    """Kiln, with stopped instances whose disks are real."""

    title = f"Kiln {kiln.__version__}"

    def __init__(self, server: Server, snapshot: str, instances: Sequence[str], images: Sequence[str]) -> None:
        self.server = server
        self._snapshot = snapshot
        self._instances = instances
        self._images = images

    @classmethod
    @contextmanager
    def serve(cls, folder: Path, images: int) -> Iterator[Contender]:
        """Kiln with so many images."""
        with open_stock(folder) as stock:
            snapshot = stock.snapshot()
            instances = [stock.instance([20]) for _ in range(INSTANCES if images else 0)]
            known = stock.images(snapshot, images)
        with start_server(folder) as server:
            yield cls(server, snapshot, instances, known)

    def of_instance(self, count: int) -> Requests:
        """Each of an instance of its own, of no more than there are: one makes one image at a time."""
        return [self._to_bytes("CreateImage", InstanceId=instance) for instance in self._instances[:count]]

    def of_snapshot(self, count: int) -> Requests:
        return [self._to_bytes("CreateImage", SnapshotId=self._snapshot) for _ in range(count)]

    def by_id(self, count: int) -> Requests:
        return [self._to_bytes("DescribeImages", ImageId=random.choice(self._images)) for _ in range(count)]

    def by_ids(self, count: int) -> Requests:
        some = [",".join(random.sample(self._images, PAGE)) for _ in range(count)]
        return [self._to_bytes("DescribeImages", ImageId=ids, PageSize=str(PAGE)) for ids in some]

    def page(self, count: int) -> Requests:
        return [self._to_bytes("DescribeImages", PageSize=str(PAGE)) for _ in range(count)]

    def until_usable(self) -> None:
        deadline = time.monotonic() + _PATIENCE_S
        while self._creating():
            if time.monotonic() > deadline:
                raise TimeoutError(f"Kiln still makes images after {_PATIENCE_S:.0f} s")
            time.sleep(_PAUSE_S)

    def _creating(self) -> int:
        asked = load.query({"Action": "DescribeImages", "RegionId": REGION, "Status": "Creating,Waiting"})
        with urllib.request.urlopen(f"{self.server.endpoint}/?{asked}") as answer:
            return int(json.load(answer)["TotalCount"])

    def _to_bytes(self, action: str, **params: str) -> bytes:
        return load.to_bytes(self.server, {"Action": action, "RegionId": REGION, **params})


class Other:
    """A peer, through the EC2 protocol."""

    def __init__(self, server: Server, title: str) -> None:
        self.server = server
        self.title = title
        self._names = itertools.count(1)
        self._images: list[str] = []

    @classmethod
    @contextmanager
    def serve(cls, peer: Peer, folder: Path, core: int | None, images: int) -> Iterator[Contender]:
        """The peer with so many images."""
        with start_peer(peer, folder, core) as server:
            made = cls(server, peer.title)
            made._stock(images)
            yield made

    def _stock(self, images: int) -> None:
        if not images:
            return
        requests = self.of_snapshot(images)
        assert not isinstance(requests, str), f"{self.title} {requests}: no image can be registered"
        load.send(self.server, requests)
        self._images = _IMAGE_ID.findall(self._ask("DescribeImages"))

    def of_instance(self, count: int) -> Requests:
        code = self._tried("CreateImage", InstanceId="i-00000000000000000", Name=self._name())
        if code == "InvalidAction":
            return f"does not have it ({code})"
        found = re.search(r"<instanceId>(i-\w+)</instanceId>", self._ask("RunInstances", MinCount="1", MaxCount="1"))
        instance = found.group(1) if found else ""
        return [self._to_bytes("CreateImage", InstanceId=instance, Name=self._name()) for _ in range(count)]

    def of_snapshot(self, count: int) -> Requests:
        code = self._tried("RegisterImage")
        if code == "InvalidAction":
            return f"does not have it ({code})"
        disk = {
            "RootDeviceName": "/dev/xvda",
            "BlockDeviceMapping.1.DeviceName": "/dev/xvda",
            "BlockDeviceMapping.1.Ebs.SnapshotId": "snap-00000000000000000",
        }
        return [self._to_bytes("RegisterImage", Name=self._name(), **disk) for _ in range(count)]

    def by_id(self, count: int) -> Requests:
        some = random.choices(self._images, k=count)
        return [self._to_bytes("DescribeImages", **{"ImageId.1": image}) for image in some]

    def by_ids(self, count: int) -> Requests:
        some = [random.sample(self._images, PAGE) for _ in range(count)]
        return [
            self._to_bytes("DescribeImages", **{f"ImageId.{n}": image for n, image in enumerate(ids, 1)})
            for ids in some
        ]

    def page(self, count: int) -> Requests:
        began = time.perf_counter()
        answered = len(_IMAGE_ID.findall(self._ask("DescribeImages", MaxResults=str(PAGE))))
        took_ms = (time.perf_counter() - began) * 1000
        if answered > PAGE:
            return f"does not have it (all {answered:,} come, in {took_ms:,.0f} ms)"
        return [self._to_bytes("DescribeImages", MaxResults=str(PAGE)) for _ in range(count)]

    def until_usable(self) -> None:
        """An image is usable with the answer."""

    def _name(self) -> str:
        return f"image-{next(self._names)}"

    def _tried(self, action: str, **params: str) -> str:
        """The code of the error that a request meets, or nothing."""
        found = _CODE.search(peers.ask(self.server, action, params)[1])
        return found.group(1) if found else ""

    def _ask(self, action: str, **params: str) -> str:
        status, body = peers.ask(self.server, action, params)
        if status != 200:  # noqa: PLR2004 - HTTP's word for well.
            raise RuntimeError(f"{action} was answered with {status}: {body[:500]}")
        return body

    def _to_bytes(self, action: str, **params: str) -> bytes:
        return peers.to_bytes(self.server, action, params)
