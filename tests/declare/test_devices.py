from __future__ import annotations

import pytest

from kiln.declare.devices import DEVICES, SYSTEM_DEVICE, find_device, letter_of, short_name


@pytest.mark.parametrize(
    ("name", "device"),
    [
        ("/dev/xvda", SYSTEM_DEVICE),
        ("/dev/vda", SYSTEM_DEVICE),
        ("/dev/vdz", "/dev/xvdz"),
        ("/dev/vdaa", None),
        ("/dev/xxvdb", None),
        ("/dev/sdb", None),
        ("vdb", None),
        ("/dev/vdb\n", None),
        ("", None),
    ],
)
def test_knows_a_device_by_either_spelling(name, device):
    assert find_device(name) == device


def test_has_a_device_for_each_letter_in_order():
    assert "".join(letter_of(device) for device in DEVICES) == "abcdefghijklmnopqrstuvwxyz"
    assert short_name(DEVICES[1]) == "xvdb"
