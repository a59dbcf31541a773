"""A guest without a machine: QEMU's storage daemon with real block nodes, spoken to over QMP."""

from __future__ import annotations

import asyncio
import contextlib
import json
import subprocess
import time

from qemu.qmp import ExecuteError, QMPClient

from kiln.ground.passphrases import within
from tests.pools import patterns


class Daemon:
    """Implements ``port.Guest``; use ``start_daemon``."""

    def __init__(self, folder, process):
        self.folder, self.process = folder, process
        self.loop = asyncio.new_event_loop()
        self.qmp = None

    def connect(self):
        """Speak to the daemon from now on.

        A daemon that is just giving its socket to the monitor's thread may wait
        for a second connection before it greets the first one.
        """
        deadline = time.monotonic() + 300
        while True:
            self.qmp = QMPClient("test")
            try:
                self.loop.run_until_complete(asyncio.wait_for(self.qmp.connect(str(self.folder / "qmp")), 5))
            except Exception:
                if time.monotonic() > deadline:
                    raise
                time.sleep(0.005)
            else:
                return

    def disconnect(self):
        if self.qmp is not None:
            self.loop.run_until_complete(self.qmp.disconnect())
            self.qmp = None

    def execute(self, command, **arguments):
        for one in within([arguments]) if command == "blockdev-add" else ():
            with contextlib.suppress(ExecuteError):  # It may have been told before.
                self.execute("object-add", qom_type="secret", id=one, format=one.form, data=one.text)
        spelled = {name.replace("_", "-"): value for name, value in arguments.items()}
        return self.loop.run_until_complete(self.qmp.execute(command, spelled))

    def open(self, blockdevs):
        """Open a volume's chain, and let ``put`` and ``holds`` at it."""
        for blockdev in blockdevs:
            if not self.has_node(blockdev["node-name"]):
                self.execute("blockdev-add", **blockdev)
        name = blockdevs[-1]["node-name"]
        self.execute("block-export-add", type="nbd", id=name, node_name=name, name=name, writable=True)

    def put(self, disk, blocks):
        """Write into a disk, named as the head that it was opened as."""
        writes = [f"write -q -P {byte} {at * patterns.BLOCK} {patterns.BLOCK}" for at, byte in blocks.items()]
        patterns.talk(self._address(disk), writes, ("-f", "raw"))

    def holds(self, disk, blocks):
        return patterns.reads_as(self._address(disk), blocks, arguments=("-f", "raw"))

    def open_ahead(self, overlays, kept):
        for overlay in overlays:
            self.execute("blockdev-add", **overlay)

    def switch(self, nodes, settle, opened=(), leads_home=None):
        settle()
        depths = self._depths()
        for name in (overlay["node-name"] for _, overlay in nodes):
            if name not in opened and depths.get(name) == 0:
                self.execute("blockdev-del", node_name=name)  # It may be another file.
                del depths[name]
        for _, overlay in nodes:
            if overlay["node-name"] not in depths:
                self.execute("blockdev-add", **overlay)
        actions = [
            {"type": "blockdev-snapshot", "data": {"node": node, "overlay": overlay["node-name"]}}
            for node, overlay in nodes
            if depths.get(overlay["node-name"], 0) == 0
        ]
        if actions:
            self.execute("transaction", actions=actions)
        return False  # There is no agent in it.

    def hold(self, act):
        act()  # It has no processors that could stand still, and nobody writes to it by himself.
        return False

    def stream(self, node, base, backing_file, passphrases=None):
        with self.qmp.listener(("JOB_STATUS_CHANGE",)) as events:
            below = {} if base is None else {"base_node": base, "backing_file": backing_file}
            self.execute("block-stream", job_id="stream", device=node, auto_finalize=False, auto_dismiss=False, **below)
            self._wait_for(events, "pending")
            for export in self.execute("query-block-exports"):
                patterns.talk(self._address(export["id"]), ["flush"], ("-f", "raw"))
            self.execute("job-finalize", id="stream")
            self._wait_for(events, "concluded")
        (job,) = self.execute("query-jobs")
        self.execute("job-dismiss", id="stream")
        assert "error" not in job, job
        self._close_unused()

    def follow(self, chains):
        return False  # What it reads nobody replaces while it runs.

    def require_home(self, volumes, leads_home):
        for node in self.execute("query-named-block-nodes"):
            if node["node-name"] in volumes:
                file = node["file"]
                if file.startswith("json:"):
                    file = json.loads(file.removeprefix("json:"))["file"]["filename"]
                assert leads_home(node["node-name"], file), file

    def is_alive(self):
        return self.process.poll() is None

    def resize(self, node, size_bytes):
        self.execute("block_resize", node_name=node, size=size_bytes)

    def has_node(self, node):
        return node in self._depths()

    def stands_above(self, node):
        return self._depths().get(node, 0) > 0

    def _wait_for(self, events, status):
        async def wait():
            async for event in events:
                if event["data"]["status"] == status:
                    return

        self.loop.run_until_complete(asyncio.wait_for(wait(), 300))

    def _close_unused(self):
        closed = True
        while closed:
            closed = False
            for node in self._depths():
                if not node.startswith("#"):
                    with contextlib.suppress(ExecuteError):
                        self.execute("blockdev-del", node_name=node)
                        closed = True

    def _depths(self):
        return {n["node-name"]: n["backing_file_depth"] for n in self.execute("query-named-block-nodes")}

    def _address(self, disk):
        return f"nbd+unix:///{disk}?socket={self.folder / 'nbd'}"


class KilledBefore:
    """A guest that is told to open what it is to go over to, at most, and then no more: who told it was killed."""

    def __init__(self, guest):
        self._guest = guest

    def switch(self, nodes, settle, opened=(), leads_home=None):
        for _, overlay in nodes:
            if overlay["node-name"] not in opened:
                self._guest.execute("blockdev-add", **overlay)
        raise InterruptedError


@contextlib.contextmanager
def start_daemon(folder, uid=None):
    """A connected daemon with its sockets in *folder*; it is killed at the end, with whatever it had not flushed."""
    command = [] if uid is None else ["setpriv", f"--reuid={uid}", f"--regid={uid}", "--clear-groups", "--"]
    command += ["qemu-storage-daemon", "--chardev", f"socket,path={folder / 'qmp'},server=on,wait=off,id=c"]
    command += ["--monitor", "chardev=c", "--nbd-server", f"addr.type=unix,addr.path={folder / 'nbd'}"]
    with subprocess.Popen(command) as process:
        daemon = Daemon(folder, process)
        try:
            daemon.connect()
            yield daemon
        finally:
            process.kill()
            process.wait()
            with contextlib.suppress(Exception):
                daemon.disconnect()
            daemon.loop.close()
