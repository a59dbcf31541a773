"""Disks and machines for tests: qcow2 files made with qemu-img, and their block nodes written by hand."""

from __future__ import annotations

import contextlib
import json
import os
import random
import shutil
import subprocess
from pathlib import Path

from kiln.ground.passphrases import Passphrase
from kiln.machines.port import Drive, Machine
from kiln.pools import luks, overlay
from kiln.pools.qcow2 import Qcow2Pool
from tests.ring import KEY, passphrase

MIB = 1024 * 1024
AS_KILN_DOES = ("-f", "qcow2", "-o", "cluster_size=128k,extended_l2=on")


class Disks:
    """A folder of volumes; a volume's file, its block node and its name are one."""

    def __init__(self, folder: Path):
        folder.mkdir(parents=True, exist_ok=True)
        for each in (folder, *folder.parents):
            with contextlib.suppress(PermissionError):
                if each.stat().st_uid == os.geteuid() and not each.stat().st_mode & 1:
                    each.chmod(0o711)
        self.folder = folder
        self.below: dict[str, str | None] = {}
        self.passphrases: dict[str, Passphrase] = {}  #: Of the encrypted ones.

    def path(self, name):
        return self.folder / f"{name}.qcow2"

    def bring_in(self, name, image):
        """A layer with an image's bytes."""
        shutil.copyfile(image, self.path(name))
        self.below[name] = None

    def blank(self, name, size_mib=64, uid=None):
        qemu_img("create", *AS_KILN_DOES, self.path(name), f"{size_mib}M")
        self._own(name, None, uid)
        return name

    def encrypted(self, name, below=None, size_bytes=64 * MIB, uid=None):
        """An empty encrypted head, above a layer or blank."""
        self.path(name).touch()
        overlay.write(self.path(name), size_bytes, below and f"{below}.qcow2", luks.forge(KEY, passphrase))
        self.passphrases[name] = luks.open_lock(overlay.read(self.path(name)).lock, name, passphrase)
        self._own(name, below, uid)
        return name

    def encrypted_copy(self, layer, name):
        """A layer that reads as another and is encrypted; returns its size in bytes."""
        pool = Qcow2Pool(self.folder)
        pool.keys = passphrase
        pool.encrypt(layer, name, KEY, lambda _: None, lambda: False)
        self.path(name).chmod(0o444)
        header = overlay.read(self.path(name))
        self.passphrases[name] = luks.open_lock(header.lock, name, passphrase)
        self.below[name] = None
        return header.size_bytes

    def above(self, name, below, uid=None):
        """An empty head above a layer."""
        qemu_img("create", *AS_KILN_DOES, "-b", f"{below}.qcow2", "-F", "qcow2", self.path(name))
        self._own(name, below, uid)
        return name

    def node(self, name, *, is_head=True):
        file = {"driver": "file", "filename": str(self.path(name))}
        sealed = {}
        if name in self.passphrases:
            sealed["encrypt"] = {"format": "luks", "key-secret": self.passphrases[name]}
        return {
            "driver": "qcow2",
            "node-name": name,
            "read-only": not is_head,
            "backing": self.below[name],
            "file": file,
            **sealed,
        }

    def chain(self, name):
        nodes = [self.node(name)]
        while (name := self.below[name]) is not None:
            nodes.insert(0, self.node(name, is_head=False))
        return tuple(nodes)

    def drive(self, name, letter, serial=None):
        files = tuple(self.path(node["node-name"]) for node in self.chain(name))
        return Drive(
            node=name, blockdevs=self.chain(name), serial=serial or name, device=f"/dev/xvd{letter}", files=files
        )

    def scribble(self, name, byte, places, seed):
        """Write a byte here and there, mostly less than a cluster of it."""
        numbers = random.Random(seed)
        for _ in range(places // 200 + 1):
            writes = []
            for _ in range(min(places, 200)):
                length = numbers.choice([1, 1, 2, 5, 20, 40])
                writes += ["-c", f"write -q -P {byte} {numbers.randrange(64 * 256 - length) * 4}k {length * 4}k"]
            subprocess.run(["qemu-io", *writes, self.path(name)], check=True)

    def sector(self, name, number):
        """The text in one sector of what the volume reads as."""
        copy = self.folder / "sector"
        qemu_img(
            "dd", "-U", "-f", "qcow2", "-O", "raw", "bs=512", f"skip={number}", f"count={number + 1}",
            f"if={self.path(name)}", f"of={copy}",
        )  # fmt: skip
        text = copy.read_bytes().strip(b" \0").decode()
        copy.unlink()
        return text

    def backing_file(self, name):
        described = subprocess.check_output(["qemu-img", "info", "-U", "--output=json", self.path(name)])
        return json.loads(described).get("backing-filename")

    def _own(self, name, below, uid):
        self.below[name] = below
        if uid is not None:
            os.chown(self.path(name), uid, uid)


def files_open(pid):
    """The volumes' files that a process has open, each once; one that has no name any more ends in `` (deleted)``."""
    found = set()
    for path in Path(f"/proc/{pid}/fd").iterdir():
        with contextlib.suppress(FileNotFoundError):  # It was closed since it was listed.
            found.add(_name_of(path))
    return sorted(Path(name).name for name in found if ".qcow2" in name)


def _name_of(descriptor):
    """The path of a file that is open; of one that was opened as a draft the name that it was linked to since."""
    path, about = descriptor.readlink(), descriptor.stat()
    if not path.name.endswith(" (deleted)") or not about.st_nlink:
        return str(path)
    return next((str(one) for one in path.parent.iterdir() if one.lstat().st_ino == about.st_ino), str(path))


def settle():
    """For a switch: the files that it is about have their names on the disk for as long as a test goes on."""


def qemu_img(*arguments):
    subprocess.run(["qemu-img", *map(str, arguments)], check=True, capture_output=True)


def a_machine(instance="i-1", **changes):
    given = {
        "instance": instance,
        "cpus": 1,
        "memory_mib": 256,
        "architecture": "x86_64",
        "boot_mode": "BIOS",
        "drives": (),
        "mac": "00:16:3e:00:00:01",
        "public_ip": None,
    }
    return Machine(**given | changes)
