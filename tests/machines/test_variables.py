"""UEFI variables outside of their machine: what is packed comes back, and nothing else is taken for it."""

from __future__ import annotations

import base64
import random
import struct
import zlib
from dataclasses import replace
from pathlib import Path

import pytest

from kiln.machines.qemu import QemuMachines
from kiln.machines.variables import (
    HEAD_BYTES,
    MOST_BYTES,
    MOST_PACKED,
    NotVariables,
    pack,
    require_readable,
    require_whole,
    unpack,
)
from tests.machines.disks import a_machine
from tests.machines.patience import LIMIT_S
from tests.tools import needs
from tests.waiting import wait_for

FRESH = Path("/usr/share/OVMF/OVMF_VARS_4M.fd")


def packed(content):
    return base64.b64encode(zlib.compress(content)).decode()


def test_what_was_packed_is_unpacked():
    content = random.Random(1).randbytes(4096) + bytes(500_000)

    assert unpack(pack(content), len(content)) == content


def test_what_any_guest_writes_in_the_firmware_of_x86_64_is_packed():
    """Even what cannot be made shorter."""
    assert pack(random.Random(1).randbytes(540_672))


def test_more_than_is_kept_is_not_packed():
    assert pack(random.Random(1).randbytes(MOST_PACKED)) == ""


@pytest.mark.parametrize(
    "text",
    [
        "",
        "no Base64!",
        "AAAA",
        packed(bytes(99)),
        packed(bytes(101)),
        packed(bytes(100))[:-8],
        "A" * (MOST_PACKED + 4),
    ],
    ids=["empty", "words", "no zlib", "shorter", "longer", "cut short", "too long"],
)
def test_what_is_no_firmwares_is_refused(text):
    with pytest.raises(NotVariables):
        unpack(text, 100)


def test_what_would_fill_the_memory_is_refused_before_it_does():
    with pytest.raises(NotVariables, match="more than"):
        require_readable(packed(bytes(MOST_BYTES + 1)))


def damaged(content):
    """What a lost block, a write that was cut short or another program makes of a firmware's variables."""
    volume, store = 0x20, int.from_bytes(content[48:50], "little")
    return {
        "empty": b"",
        "cut short": content[:40],
        "zeros": bytes(len(content)),
        "its first block lost": bytes(512) + content[512:],
        "another's": b"kiln" * (len(content) // 4),
        "a bit of its header": content[:60] + bytes([content[60] ^ 1]) + content[61:],
        "longer than it is": content[:volume] + (1 << 40).to_bytes(8, "little") + content[volume + 8 :],
        "never formatted": content[: store + 20] + b"\xff" + content[store + 21 :],
        "a store beyond its end": content[: store + 16] + b"\xff" * 4 + content[store + 20 :],
        "no header's length": content[:48] + b"\xff\xff" + content[50:],
    }


@pytest.fixture
def fresh():
    if not FRESH.exists():
        needs("ovmf")
    return FRESH.read_bytes()


def test_what_a_firmware_begins_with_is_whole_and_nothing_damaged_is(fresh):
    require_whole(fresh[:HEAD_BYTES], len(fresh))

    for content in damaged(fresh).values():
        with pytest.raises(NotVariables):
            require_whole(content[:HEAD_BYTES], len(fresh))


def test_what_is_damaged_is_not_given_out_to_be_kept(tmp_path, fresh):
    machines = QemuMachines(tmp_path, confined=False)
    own = machines.folder("i-1").firmware_variables
    own.parent.mkdir()
    own.write_bytes(fresh)
    assert unpack(machines.variables("i-1"), len(fresh)) == fresh

    for how, content in damaged(fresh).items():
        own.write_bytes(content)
        assert machines.variables("i-1") == "", how


# Real machines.


@pytest.fixture
def flash(machines, disks):
    """A machine without a system whose firmware has written something by itself."""
    if not FRESH.exists():
        needs("ovmf")
    drive = disks.drive(disks.blank("a0", uid=machines.uid("i-1")), "a")
    machine = a_machine(boot_mode="UEFI", drives=[drive])
    machines.start(machine)
    own = machines.folder("i-1").firmware_variables
    wait_for(lambda: own.read_bytes() != FRESH.read_bytes())
    machines.stop("i-1", force=True)
    return machine, own.read_bytes()


#: In a fresh store of OVMF: its first block, all variables, where the firmware notes what it is about to replace, and
#: where it puts that before it does (OvmfPkg/VarStore.fdf.inc).
BLOCK, VARIABLES, NOTES, SPARE = 0x1000, 0x40000, 0x41000, 0x42000
FIRST = 0x64  #: Of the variables, behind both headers.


def variable(data):
    """An authenticated variable, as it stands in the store (MdeModulePkg/Include/Guid/VariableFormat.h)."""
    name = "Marker\0".encode("utf-16-le")
    head = struct.pack("<HBxIQ16xIII16s", 0x55AA, 0x3F, 7, 0, 0, len(name), len(data), bytes(range(16)))
    return head + name + data


def cut_short(fresh, data):
    """What a power cut leaves when the firmware has erased all but the first block, to write what is in its spare.

    By MdeModulePkg/Include/Guid/FaultTolerantWrite.h: bits that are cleared say what is done.
    """
    stored = variable(data)
    content = bytearray(fresh)
    content[FIRST : FIRST + len(stored)] = stored
    content[SPARE : SPARE + VARIABLES] = content[:VARIABLES]
    content[BLOCK:VARIABLES] = b"\xff" * (VARIABLES - BLOCK)
    begun = struct.pack("<B3x16x4xQQ", 0xFC, 1, 0)
    in_spare = struct.pack("<B7xQQQq", 0xFD, 0, 0x48, VARIABLES - 0x48, -SPARE)
    content[NOTES + 32 : NOTES + 32 + len(begun + in_spare)] = begun + in_spare
    return bytes(content)


@pytest.mark.vm
@pytest.mark.slow_vm
def test_what_the_firmware_itself_completes_is_left_to_it_and_is_kept(machines, disks, fresh):
    """Where it has erased the first block too OVMF formats all of it anew, so that is damaged to it as well."""
    data = bytes(BLOCK) + b"kept before the power cut"
    own = machines.folder("i-1").firmware_variables
    own.parent.mkdir(parents=True)
    own.write_bytes(cut_short(fresh, data))
    assert data not in own.read_bytes()[:VARIABLES]
    assert machines.variables("i-1") != ""

    machines.start(a_machine(boot_mode="UEFI", drives=[disks.drive(disks.blank("a0", uid=machines.uid("i-1")), "a")]))

    wait_for(lambda: data in own.read_bytes()[:VARIABLES], within_s=LIMIT_S)
    assert b"UEFI variables" not in machines.console("i-1")


def elsewhere_with(reachable, machine, disks):
    """What the firmware of a machine on another host finds, and its console."""
    there = QemuMachines(reachable / "elsewhere" / "run", accel="tcg")
    uid = there.uid("i-1")
    drive = disks.drive(disks.blank("b0", uid=uid), "a")
    found = []
    own = there.folder("i-1").firmware_variables
    try:
        there.start(replace(machine, drives=[drive]), lambda: found.append(own.read_bytes()))
        return found[0], there.console("i-1")
    finally:
        there.stop("i-1", force=True)


@pytest.mark.vm
def test_a_machine_elsewhere_finds_in_its_firmware_what_it_had(machines, reachable, disks, flash):
    machine, had = flash
    assert set(machines.variables_at()) == {"i-1"}

    brings = replace(machine, variables=machines.variables("i-1"))

    assert elsewhere_with(reachable, brings, disks) == (had, b"")


@pytest.mark.vm
def test_one_that_brings_none_of_its_firmware_finds_fresh_ones_and_says_so(reachable, disks):
    if not FRESH.exists():
        needs("ovmf")
    brings = a_machine(boot_mode="UEFI", drives=[], variables=packed(bytes(4096)))

    found, console = elsewhere_with(reachable, brings, disks)

    assert found == FRESH.read_bytes()
    assert b"begins with fresh ones" in console


@pytest.mark.vm
def test_a_file_of_another_length_keeps_no_machine_from_starting(machines, disks, flash):
    machine, had = flash
    machines.folder("i-1").firmware_variables.write_bytes(had[:-1])

    machines.start(machine)

    assert machines.is_running("i-1")
    assert b"begins with fresh ones" in machines.console("i-1")


@pytest.mark.vm
@pytest.mark.parametrize("how", ["cut short", "zeros"])
def test_what_is_damaged_gives_way_to_what_was_kept_and_that_is_told(machines, disks, flash, how):
    machine, had = flash
    own, found = machines.folder("i-1").firmware_variables, []
    own.write_bytes(damaged(had)[how])

    kept = replace(machine, variables=pack(had), has_variables=True)
    machines.start(kept, lambda: found.append(own.read_bytes()))

    assert found == [had]
    assert b"put back as they were kept last" in machines.console("i-1")
    machines.stop("i-1", force=True)
    machines.start(replace(kept, variables=pack(FRESH.read_bytes())), lambda: found.append(own.read_bytes()))
    assert found[1] != FRESH.read_bytes()
    assert b"kept last" not in machines.console("i-1")


def test_a_file_that_is_too_large_is_not_read(tmp_path):
    machines = QemuMachines(tmp_path, confined=False)
    own = machines.folder("i-1").firmware_variables
    own.parent.mkdir()
    own.touch()
    with own.open("r+b") as file:
        file.truncate(1 << 40)

    assert machines.variables("i-1") == ""
