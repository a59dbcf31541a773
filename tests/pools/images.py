"""Images to judge: honest ones that qemu-img makes, and ways to spoil them byte by byte."""

from __future__ import annotations

import os
import struct
import subprocess

import pytest

from kiln.ground.units import MiB
from kiln.pools.foreign import File, Refused
from kiln.pools.inspection_child import judge

SECTOR = 512


def qemu_img(*arguments):
    done = subprocess.run(["qemu-img", *map(str, arguments)], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr


def qemu_io(path, *commands):
    """Have qemu-io do *commands* on a qcow2 file."""
    spoken = [word for command in commands for word in ("-c", command)]
    subprocess.run(["qemu-io", "-f", "qcow2", *spoken, path], check=True)


def make(path, form, *arguments, options=None, size=4 * MiB):
    """An image that qemu-img makes."""
    spelled = ["-o", options] if options else []
    qemu_img("create", "-q", "-f", form, *spelled, *arguments, path, size)
    return path


def make_with_data(path, form, options=None):
    """An image of 4 MiB with 1 MiB of data in it."""
    raw = path.with_suffix(".data")
    raw.write_bytes(os.urandom(MiB) + bytes(3 * MiB))
    qemu_img("convert", "-f", "raw", "-O", form, *(["-o", options] if options else []), raw, path)
    return path


def patch(path, offset, data):
    """Overwrite bytes; a negative offset counts from the end."""
    at = offset if offset >= 0 else path.stat().st_size + offset
    fd = os.open(path, os.O_WRONLY)
    os.pwrite(fd, data, at)
    os.close(fd)
    return path


def with_checksum(structure, field):
    """A VHD structure with its checksum made right again."""
    blank = structure[:field] + bytes(4) + structure[field + 4 :]
    return blank[:field] + struct.pack(">I", ~sum(blank) & 0xFFFFFFFF) + blank[field + 4 :]


def replace_footer(path, change):
    """Change a VHD's footer, and the copy of it in front, and make both checksums right."""
    content = path.read_bytes()
    footer = with_checksum(change(content[-SECTOR:]), 64)
    patch(path, -SECTOR, footer)
    if content.startswith(b"conectix"):
        patch(path, 0, footer)
    return path


def replace_description(path, old, new):
    """Change a VMDK's description in its place."""
    content = path.read_bytes()
    described = content[SECTOR : 21 * SECTOR]
    assert old in described
    return patch(path, SECTOR, described.replace(old, new)[: len(described)].ljust(len(described), b"\0"))


def judged(path, stated=None):
    """What the child would find, without the child: importing its library takes 0.2 seconds each time."""
    with path.open("rb") as file:
        return judge(File(file.fileno(), path.stat().st_size), stated)


def refusal(path, stated=None):
    """The sentence with which the file is refused."""
    with pytest.raises(Refused) as refused:
        judged(path, stated)
    sentence = str(refused.value)
    assert sentence.endswith(".")
    return sentence
