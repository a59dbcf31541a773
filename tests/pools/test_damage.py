"""Files of every format, damaged in every way that a seed finds: taken for what they are, or refused.

A damaged file may be a disk all the same: one with two blocks exchanged is a
file as good as any. So what is let in is compared with what another reader,
made of the specification alone, finds in the same bytes, and of a file that has
something twice, with each of the two.
"""

from __future__ import annotations

import random
import struct

import pytest

from kiln.ground.units import KiB, MiB
from kiln.pools.errors import SourceRefused
from kiln.pools.foreign import Refused
from kiln.pools.qcow2 import Qcow2Pool
from tests.kill.conftest import quick_folder  # noqa: F401 - a fixture
from tests.pools.images import judged, qemu_img, with_checksum
from tests.pools.patterns import believed, bring_in
from tests.pools.readers import read_qcow2, read_vhd, read_vmdk
from tests.tools import needs

SIZE = 6 * MiB + 512
FORMS = {
    "dynamic VHD": ("vpc", "subformat=dynamic,force_size=on"),
    "fixed VHD": ("vpc", "subformat=fixed,force_size=on"),
    "sparse VMDK": ("vmdk", "subformat=monolithicSparse"),
    "VMDK with zeroed grains": ("vmdk", "subformat=monolithicSparse,zeroed_grain=on"),
    "streamed VMDK": ("vmdk", "subformat=streamOptimized"),
    "qcow2": ("qcow2", "cluster_size=4k"),
    "compressed qcow2": ("qcow2", "cluster_size=4k,compat=0.10"),
}
#: Files of each form: the same ones for every change, others for every change, and others every night.
FEW, SOME, MANY = 30, 60, 500


@pytest.fixture(scope="module")
def pristine(tmp_path_factory):
    """An honest file of each form, as bytes."""
    needs("qemu-img", "prlimit", "setpriv")
    folder = tmp_path_factory.mktemp("pristine")
    chance = random.Random(8)
    content = bytearray(SIZE)
    for at in (0, 64 * KiB, 130 * KiB, 2 * MiB + 4 * KiB, 5 * MiB, SIZE - 20 * KiB):
        content[at : at + 20 * KiB] = chance.randbytes(10 * KiB) + b"words " * (10 * KiB // 6 + 1)
    (folder / "raw").write_bytes(content[:SIZE])
    files = {}
    for name, (form, options) in FORMS.items():
        packed = ["-c"] if name.startswith("compressed") else []
        qemu_img("convert", "-f", "raw", "-O", form, "-o", options, *packed, folder / "raw", folder / "image")
        files[name] = (folder / "image").read_bytes()
    return files


def structures(name, data):
    """Where the file keeps what it says about itself: (offset, length of one field, count)."""
    form = FORMS[name][0]
    if form == "vpc":
        places = [(len(data) - 512, 4, 128)]
        return (
            places if name.startswith("fixed") else [*places, (0, 4, 128), (512, 4, 256), (1536, 4, 4), (2048, 1, 99)]
        )
    if form == "vmdk":
        second, first = struct.unpack_from("<QQ", data, 48)
        tables = [struct.unpack_from("<I", data, at * 512)[0] for at in (first, second)]
        return [
            (0, 4, 20),
            (512, 1, 400),
            (first * 512, 4, 2),
            (second * 512, 4, 2),
            *((at * 512, 4, 100) for at in tables),
        ]
    (l1,) = struct.unpack_from(">Q", data, 40)
    (refcounts,) = struct.unpack_from(">Q", data, 48)
    (l2,) = struct.unpack_from(">Q", data, l1)
    return [(0, 4, 28), (l1, 8, 4), (l2 & (1 << 56) - 512, 8, 512), (refcounts, 8, 2)]


def damage(name, data, chance):
    """The file with one thing wrong, or a few; of a VHD the checksums are made right again, half of the time."""
    damaged = bytearray(data)
    for _ in range(chance.choice([1, 1, 1, 2, 3])):
        offset, width, count = chance.choice(structures(name, data))
        at, other = (offset + width * chance.randrange(count) for _ in range(2))
        kind = chance.randrange(6)
        if kind == 0:  # one bit
            damaged[at + chance.randrange(width)] ^= 1 << chance.randrange(8)
        elif kind == 1:  # a field becomes its neighbour's
            damaged[at : at + width] = damaged[other : other + width]
        elif kind == 2:
            damaged[at : at + width] = chance.choice([bytes(width), b"\xff" * width, chance.randbytes(width)])
        elif kind == 3:  # a little more or less
            order = "little" if FORMS[name][0] == "vmdk" else "big"
            value = int.from_bytes(damaged[at : at + width], order) + chance.choice([-8, -1, 1, 2, 128, 4096])
            damaged[at : at + width] = (value % (1 << 8 * width)).to_bytes(width, order)
        elif kind == 4:
            damaged[at : at + width], damaged[other : other + width] = (
                damaged[other : other + width],
                damaged[at : at + width],
            )
        else:
            del damaged[chance.randrange(len(damaged) // 2, len(damaged)) // 512 * 512 :]
            break
    if FORMS[name][0] == "vpc" and chance.random() < 0.7 and len(damaged) > 4 * KiB:
        damaged[-512:] = with_checksum(bytes(damaged[-512:]), 64)
        if damaged[:8] == b"conectix":
            damaged[:512] = with_checksum(bytes(damaged[:512]), 64)
            damaged[512:1536] = with_checksum(bytes(damaged[512:1536]), 36)
    return bytes(damaged)


def right_answers(name, data):
    """All that the file may be read as; more than one when it says something twice and each time differently."""
    form = FORMS[name][0]
    if form == "vpc":
        return {read_vhd(data)}
    if form == "vmdk":
        return {read_vmdk(data), read_vmdk(data, redundant=True)}
    return {read_qcow2(data)}


def check_one(name, data, folder):
    """Judge and read the file as an import does. Returns whether it was let in."""
    path = folder / "damaged"
    path.write_bytes(data)
    try:
        form, size = judged(path)
    except Refused:
        return False
    if form == "raw":
        return False  # Nothing of the format is left that would tell it from another disk.
    pool = Qcow2Pool(folder / "pool")
    try:
        bring_in(pool, path, believed(path, form, size))
    except SourceRefused:
        return False
    pool.send_out("v-image", folder / "read", "raw", lambda _: None, lambda: False)
    pool.drop("v-image")
    assert right_answers(name, data) == {(folder / "read").read_bytes()}
    return True


def torment(name, pristine, folder, count, seed):
    chance = random.Random(seed)
    let_in = 0
    for n in range(count):
        data = damage(name, pristine, chance)
        try:
            let_in += check_one(name, data, folder)
        except BaseException as error:
            error.add_note(f"seed {seed}, file {n} of {name}")
            raise
    return let_in


@pytest.mark.parametrize("name", FORMS)
def test_readers_agree_on_what_is_whole(pristine, tmp_path, name):
    assert check_one(name, pristine[name], tmp_path)


@pytest.mark.parametrize("name", FORMS)
def test_is_refused_or_read_right(pristine, quick_folder, name):  # noqa: F811 - the fixture.
    torment(name, pristine[name], quick_folder, FEW, seed=1)


@pytest.mark.slow
@pytest.mark.parametrize("name", FORMS)
def test_is_refused_or_read_right_many_times(pristine, quick_folder, name, pytestconfig):  # noqa: F811
    """With other files each time: some in a whole run, and many in ``./kiln test all`` and when it is chosen."""
    count = MANY if pytestconfig.option.repeats == "all" else SOME

    assert torment(name, pristine[name], quick_folder, count, seed=random.randrange(1 << 30)) > 0
