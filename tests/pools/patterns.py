"""Bytes to test with: a volume is sixteen blocks of 64 KiB, each filled with one byte.

Written and read through the same block nodes that a guest would use, with
qemu-io, so that the same tests serve every kind of pool.
"""

from __future__ import annotations

import contextlib
import json
import subprocess

from kiln.ground.passphrases import Passphrase, within
from kiln.ground.units import KiB
from kiln.pools import stamps
from kiln.pools.nodes import stacked
from kiln.pools.port import Source
from tests.waiting import wait_for

BLOCK = 64 * KiB
BLOCKS = 16
SIZE = BLOCK * BLOCKS  # 1 MiB

SECRETS: dict[str, Passphrase] = {}  #: The passphrases of all encrypted volumes that were looked at, by their IDs.


def node(pool, volume, *, writable):
    """The volume's whole chain as one block node, as a file name for QEMU's tools."""
    below = stacked(pool.blockdevs(volume)) | {"read-only": not writable}
    SECRETS.update({str(one): one for one in within([below])})
    # No spaces: they part the words of a command.
    return "json:" + json.dumps(below, separators=(",", ":"))


def put(pool, volume, blocks):
    """Write ``{block number: byte}`` into a head. It is not brought to the disk, since no test cuts the power."""
    commands = [f"write -q -P {byte} {at * BLOCK} {BLOCK}" for at, byte in blocks.items()]
    talk(node(pool, volume, writable=True), commands, ("--cache", "unsafe"))


def holds(pool, volume, blocks, count=BLOCKS):
    """Whether the volume reads as ``{block number: byte}``, and as zeros in its other blocks."""
    return reads_as(node(pool, volume, writable=False), blocks, count)


def reads_as(name, blocks, count=BLOCKS, arguments=()):
    return "verification failed" not in talk(name, _reads(blocks, count), ("-r", *arguments))


def all_hold(pool, wanted):
    """Whether each of ``(volume, {block number: byte}, count)`` holds, asked of one process: a start takes longest."""
    commands = []
    for volume, blocks, count in wanted:
        commands += [f"open -r {node(pool, volume, writable=False)}", *_reads(blocks, count), "close"]
    return not commands or "verification failed" not in _talk(commands, ("-r",))


def _reads(blocks, count):
    return [f"read -q -P {blocks.get(at, 0)} {at * BLOCK} {BLOCK}" for at in range(count)]


def inspected(pool, path, stated=None):
    """What the pool finds the file to be."""
    with path.open("rb") as file:
        return pool.inspect(file, stated)


def bring_in(pool, path, source, volume="v-image", *, progress=lambda _: None, cancelled=lambda: False):
    """Make a layer of the file."""
    with path.open("rb") as file:
        pool.bring_in(file, source, volume, progress, cancelled)


def believed(path, form, size):
    """What an inspection that lets everything pass would find."""
    with path.open("rb") as file:
        return Source(format=form, virtual_size=size, stamp=stamps.take(file.fileno()))


def talk(name, commands, arguments=()):
    """Have qemu-io do *commands* on a file; what it said."""
    return _talk(commands, arguments, (name,))


@contextlib.contextmanager
def opened(name, is_open):
    """Have a program hold open what has that name, which *is_open* tells."""
    with subprocess.Popen(command_for(name), stdin=subprocess.PIPE, stdout=subprocess.DEVNULL) as it:
        wait_for(is_open)
        yield
        it.communicate(b"quit\n")


def command_for(name):
    """Have qemu-io open what has that name, and wait for words."""
    return ["qemu-io", *_secrets(name), name]


def _secrets(words):
    return [f"--object=secret,id={one},format={one.form},data={one.text}" for one in SECRETS.values() if one in words]


def _talk(commands, arguments, names=()):
    spoken = [word for command in commands for word in ("-c", command)]
    secrets = _secrets(" ".join([*commands, *names]))
    command = ["qemu-io", *secrets, *arguments, *spoken, *names]
    # One that is told nothing asks for commands.
    done = subprocess.run(command, stdin=subprocess.DEVNULL, capture_output=True, text=True, check=False)
    said = done.stdout + done.stderr
    assert done.returncode == 0 or "verification failed" in said, said
    return said
