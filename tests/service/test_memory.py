from __future__ import annotations

import os
import platform
import subprocess
import sys

import pytest

#: Eight threads at once, each of which has something from the C library's heap; then how many heaps there are.
_PROGRAM = """
import ctypes, sys, threading
from kiln.service.memory import share_heaps
if sys.argv[1] == "shared":
    share_heaps()
libc = ctypes.CDLL(None)
libc.malloc.restype = ctypes.c_void_p
at_once = threading.Barrier(8)
def take():
    at_once.wait()
    libc.malloc(1000)
    at_once.wait()
threads = [threading.Thread(target=take) for _ in range(8)]
[one.start() for one in threads], [one.join() for one in threads]
libc.fdopen.restype = ctypes.c_void_p
out = ctypes.c_void_p(libc.fdopen(1, b"w"))
libc.malloc_info(0, out)
libc.fflush(out)
"""


def heaps(how):
    told = ("MALLOC_ARENA_MAX", "GLIBC_TUNABLES")
    environment = {name: value for name, value in os.environ.items() if name not in told}
    said = subprocess.check_output([sys.executable, "-c", _PROGRAM, how], text=True, env=environment)
    return said.count("<heap nr=")


@pytest.mark.skipif(platform.libc_ver()[0] != "glibc", reason="another C library has no such heaps")
def test_threads_share_two_heaps():
    assert heaps("as they are") > 2
    assert heaps("shared") <= 2
