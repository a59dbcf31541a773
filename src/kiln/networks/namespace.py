"""Into a user and a network namespace of one's own, with the rights over that network and no others.

It takes no privilege but that of making user namespaces. Sources:
user_namespaces(7), capabilities(7), prctl(2).
"""

from __future__ import annotations

import ctypes
import os
import struct
from pathlib import Path

_NEW_USER, _NEW_NET = 0x10000000, 0x40000000
_SET_DUMPABLE, _SET_NO_NEW_PRIVS = 4, 38
_CAPABILITY_VERSION = 0x20080522
_BIND_SERVICE, _NET_ADMIN, _NET_RAW = 10, 12, 13
_KEPT = 1 << _BIND_SERVICE | 1 << _NET_ADMIN | 1 << _NET_RAW


def become(uid: int) -> None:
    """Be that user and no other, for good. Only for who is root."""
    os.setgroups([])
    os.setresgid(uid, uid, uid)
    os.setresuid(uid, uid, uid)


def close_to_others() -> None:
    """Let no other process of the same user look into this one or change it, and no program give it rights."""
    libc = ctypes.CDLL(None, use_errno=True)
    _prctl(libc, _SET_DUMPABLE, 0)
    _prctl(libc, _SET_NO_NEW_PRIVS, 1)


def enter() -> None:
    """Enter new namespaces; for a process of one thread. Raises OSError."""
    libc = ctypes.CDLL(None, use_errno=True)
    # After a change of user the files below would be root's.
    _prctl(libc, _SET_DUMPABLE, 1)
    _prctl(libc, _SET_NO_NEW_PRIVS, 1)
    uid, gid = os.geteuid(), os.getegid()
    if libc.unshare(_NEW_USER | _NEW_NET):
        number = ctypes.get_errno()
        raise OSError(number, f"no user and network namespace can be made: {os.strerror(number)}")
    own = Path("/proc/self")
    for name, text in (("setgroups", "deny"), ("uid_map", f"0 {uid} 1"), ("gid_map", f"0 {gid} 1")):
        (own / name).write_text(text)
    _keep_rights(libc)


def _keep_rights(libc: ctypes.CDLL) -> None:
    """Keep the rights over the network; whoever breaks in has not even the others that a namespace's root has."""
    header = struct.pack("=Ii", _CAPABILITY_VERSION, 0)
    rights = struct.pack("=III", _KEPT, _KEPT, 0) + bytes(12)
    if libc.capset(header, rights):
        number = ctypes.get_errno()
        raise OSError(number, f"rights cannot be given up: {os.strerror(number)}")


def _prctl(libc: ctypes.CDLL, option: int, value: int) -> None:
    if libc.prctl(option, value, 0, 0, 0):
        number = ctypes.get_errno()
        raise OSError(number, os.strerror(number))
