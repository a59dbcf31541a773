"""The judge's library, and what is left out of it."""

from __future__ import annotations

import subprocess
import sys


def test_is_imported_without_the_package_around_it():
    said = _said("import kiln.pools.inspection_child; print(*sys.modules)").split()

    assert "oslo_utils.imageutils.format_inspector" in said
    assert not {"oslo_utils.imageutils", "oslo_utils.imageutils.qemu", "oslo_utils.strutils"} & set(said)
    assert not {"cryptography", "tarfile", "hashlib"} & set(said)


def test_leaves_the_package_whole_for_others():
    program = """
from kiln.pools.oslo import format_inspector
from oslo_utils.imageutils import QemuImgInfo, format_inspector as again
print(QemuImgInfo.__name__, again is format_inspector)
"""

    assert _said(program).split() == ["QemuImgInfo", "True"]


def test_leaves_what_opens_luks_whole_for_others():
    program = """
from kiln.pools.oslo import format_inspector
from oslo_utils.imageutils import _luks
print("cryptography" in sys.modules, _luks.NUM_KEY_SLOTS, "cryptography" in sys.modules)
print(_luks is format_inspector._luks, _luks.LUKSHeader.__name__, type(_luks).__name__)
"""

    assert _said(program).split() == ["False", "8", "True", "True", "LUKSHeader", "module"]


def test_takes_the_package_as_it_was_imported_before():
    program = """
from oslo_utils import imageutils
from kiln.pools.oslo import format_inspector
print(sys.modules["oslo_utils.imageutils"] is imageutils, imageutils.format_inspector is format_inspector)
"""

    assert _said(program).split() == ["True", "True"]


def _said(program):
    done = subprocess.run([sys.executable, "-P", "-c", f"import sys\n{program}"], check=True, capture_output=True)
    return done.stdout.decode()
