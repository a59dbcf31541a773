"""Device names: what ECS calls the places that an instance's disks have.

A name is ``/dev/xvd`` and a letter: ``a`` is the system disk's, the others are
data disks'. Callers may say ``/dev/vd`` as well; rows, machines and answers say
``/dev/xvd``. Source: create-image.seed.txt, DiskDeviceMapping.N.Device.
"""

from __future__ import annotations

import re
import string

LETTERS = string.ascii_lowercase

SYSTEM_DEVICE = "/dev/xvda"
DATA_DEVICES = tuple(f"/dev/xvd{letter}" for letter in LETTERS[1:])

#: In the order of their letters.
DEVICES = (SYSTEM_DEVICE, *DATA_DEVICES)

#: Hints for a name that is wrong.
DATA_HINT = "Data disks are /dev/xvdb to /dev/xvdz (or /dev/vdb to /dev/vdz)."
HINT = f"The system disk is /dev/xvda (or /dev/vda). {DATA_HINT}"

_NAME = re.compile(r"/dev/x?vd([a-z])")


def find_device(name: str) -> str | None:
    """The device of that name in either spelling, as answers spell it; None when it is no such name."""
    match = _NAME.fullmatch(name)
    return None if match is None else f"/dev/xvd{match[1]}"


def letter_of(device: str) -> str:
    """``b`` of ``/dev/xvdb``."""
    return device[-1]


def short_name(device: str) -> str:
    """``xvdb`` of ``/dev/xvdb``, as snapshots of images are named for it."""
    return device.rpartition("/")[2]
