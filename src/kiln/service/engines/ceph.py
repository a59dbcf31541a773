"""A Ceph of one node, in a private folder, that keeps all in memory, or in a file where it is to outlive a kill.

Starting one takes two seconds, with a file ten. Its daemons are children that the
kernel ends with the process that began them, also where that is killed.
"""

from __future__ import annotations

import shutil
import socket
import subprocess
import tempfile
import uuid
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path

from kiln.ground.values import dataclass
from kiln.service.engines.programs import require

POOL = "rbd"
PROGRAMS = ("ceph-mon", "ceph-osd", "ceph", "rbd", "monmaptool", "ceph-authtool", "setpriv")
_PLACEMENT_GROUPS = 8

#: Snapshots wait for the monitors to agree, by default for a second each, which is no storage's speed. A client that
#: was killed is believed to live for half a minute, which tests of kills would have to wait for; one that lives is not
#: to be given up beside other work either, since librbd ends the process where that happens while it closes an image.
_CONFIGURATION = """\
[global]
fsid = {fsid}
mon_host = [v2:127.0.0.1:{port},v1:127.0.0.1:{older_port}]
public_network = 127.0.0.0/8
auth_cluster_required = cephx
auth_service_required = cephx
auth_client_required = cephx
keyring = {folder}/keyring
run_dir = {folder}/run
admin_socket =
pid_file = {folder}/run/$name.pid
log_file = {folder}/log/$name.log
crash_dir = {folder}/log
osd_pool_default_size = 1
osd_pool_default_min_size = 1
osd_pool_default_pg_autoscale_mode = off
osd_crush_chooseleaf_type = 0
mon_allow_pool_size_one = true
mon_allow_pool_delete = true
auth_allow_insecure_global_id_reclaim = false
mon_data_avail_warn = 1
mon_data_avail_crit = 0
ms_bind_ipv6 = false
rbd_default_features = 61
[mon]
paxos_propose_interval = 0.005
paxos_min_wait = 0.001
mon_data = {folder}/mon
mon_initial_members = a
[mgr]
mgr_data = {folder}/mgr
mgr_initial_modules =
[osd]
osd_data = {folder}/osd
{store}
osd_client_watch_timeout = 10
"""


_IN_MEMORY = """\
osd_objectstore = memstore
memstore_device_bytes = 4294967296"""
_IN_FILE = """\
osd_objectstore = bluestore
osd_memory_target = 939524096
bluestore_block_size = 4294967296
bluestore_block_path =
bluestore_block_create = true
bluestore_block_db_create = false
bluestore_block_wal_create = false"""


@dataclass
class Ceph:
    """A cluster that runs: its configuration's file, and what ends with it."""

    configuration: Path
    stack: ExitStack

    def run(self, program: str, *arguments: str) -> str:
        """Run one of Ceph's programs; what it printed. Raises CalledProcessError."""
        command = [program, "--conf", str(self.configuration), *arguments]
        return subprocess.run(command, check=True, capture_output=True, text=True).stdout


@contextmanager
def started_ceph(*, keeps: bool = False) -> Iterator[Ceph]:
    """Yields a cluster with one pool, ``POOL``, that is empty. One that *keeps* its bytes outlives its daemons.

    Raises EngineAbsent, CalledProcessError.
    """
    require(*PROGRAMS)
    # Its sockets have names of 108 characters at most, which a folder of somebody's own may be too long for.
    folder = Path(tempfile.mkdtemp(prefix="kiln-ceph-", dir="/tmp"))
    try:
        with ExitStack() as stack:
            yield _started(folder, stack, _IN_FILE if keeps else _IN_MEMORY)
    finally:
        shutil.rmtree(folder, ignore_errors=True)


def _started(folder: Path, stack: ExitStack, store: str) -> Ceph:
    for name in ("mon", "osd", "run", "log"):
        (folder / name).mkdir()
    port, older_port = _free_ports()
    fsid, osd = str(uuid.uuid4()), str(uuid.uuid4())
    it = Ceph(folder / "ceph.conf", stack)
    ports = {"port": port, "older_port": older_port}
    it.configuration.write_text(_CONFIGURATION.format(fsid=fsid, folder=folder, store=store, **ports))
    _make_keys(folder / "keyring")
    addresses = f"[v2:127.0.0.1:{port},v1:127.0.0.1:{older_port}]"
    it.run("monmaptool", "--create", "--clobber", "--fsid", fsid, "--addv", "a", addresses, str(folder / "monmap"))
    it.run("ceph-mon", "-i", "a", "--mkfs", "--monmap", str(folder / "monmap"), "--keyring", str(folder / "keyring"))
    stack.enter_context(daemon(folder, "ceph-mon", "a"))
    it.run("ceph", "osd", "new", osd, "0")
    it.run("ceph-osd", "-i", "0", "--mkfs", "--osd-uuid", osd)
    stack.enter_context(daemon(folder, "ceph-osd", "0"))
    it.run("ceph", "osd", "set-require-min-compat-client", "mimic")
    it.run("ceph", "osd", "pool", "create", POOL, str(_PLACEMENT_GROUPS))
    it.run("rbd", "pool", "init", POOL)
    return it


def _make_keys(keyring: Path) -> None:
    """The keys of all who take part: what is given to the monitor at its making, it knows from then on."""
    capabilities = {
        "mon.": ("mon", "allow *"),
        "client.admin": ("mon", "allow *", "osd", "allow *", "mgr", "allow *"),
        "mgr.x": ("mon", "allow profile mgr", "osd", "allow *"),
        "osd.0": ("mon", "allow profile osd", "mgr", "allow profile osd", "osd", "allow *"),
    }
    subprocess.run(["ceph-authtool", "--create-keyring", keyring], check=True, capture_output=True)
    for name, allowed in capabilities.items():
        words = [word for of, what in zip(allowed[::2], allowed[1::2], strict=True) for word in ("--cap", of, what)]
        subprocess.run(["ceph-authtool", keyring, "--gen-key", "-n", name, *words], check=True, capture_output=True)


@contextmanager
def daemon(folder: Path, program: str, name: str) -> Iterator[None]:
    """One of its daemons, of the cluster in *folder*. An interrupt at the terminal is not for it."""
    command = ["setpriv", "--pdeathsig", "KILL", program, "--conf", str(folder / "ceph.conf"), "-f", "-i", name]
    with (folder / "log" / f"{program}.out").open("wb") as said:
        process = subprocess.Popen(command, stdin=subprocess.DEVNULL, stdout=said, stderr=said, start_new_session=True)
    try:
        yield
    finally:
        process.kill()  # What it keeps nobody will read again.
        process.wait()


def _free_ports() -> tuple[int, int]:
    """Two ports that nobody has. A monitor cannot be given a socket, nor tell which port it took."""
    with socket.create_server(("127.0.0.1", 0)) as one, socket.create_server(("127.0.0.1", 0)) as other:
        return one.getsockname()[1], other.getsockname()[1]
