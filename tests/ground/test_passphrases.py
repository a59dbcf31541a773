"""Passphrases are handed over by descriptors, and by nothing else."""

from __future__ import annotations

import copy
import os
import pickle
import subprocess
from pathlib import Path

from kiln.ground.passphrases import Passphrase, handed_over, within


def test_finds_those_of_a_node_and_of_what_is_written_below_it_once():
    one, two = Passphrase("key-1", "secret"), Passphrase("key-2", "other")
    node = {"encrypt": {"key-secret": one}, "backing": {"encrypt": {"key-secret": two}, "file": {"filename": "x"}}}

    assert sorted(within([node, node, {"driver": "qcow2"}])) == ["key-1", "key-2"]


def test_is_read_by_the_descriptor_alone_and_by_nobody_afterwards():
    with handed_over([Passphrase("key-1", "secret")], "--object") as (arguments, descriptors):
        (descriptor,) = descriptors
        kept = os.dup(descriptor)
        file = f"/proc/self/fd/{descriptor}"
        assert arguments == ["--object", f"secret,id=key-1,format=raw,file={file}"]
        assert subprocess.check_output(["cat", file], pass_fds=descriptors) == b"secret"
    try:
        assert Path(f"/proc/self/fd/{kept}").read_bytes() == b""
    finally:
        os.close(kept)


def test_stays_what_it_is_when_it_is_copied():
    one = Passphrase("key-1", "secret")

    assert [each.text for each in (copy.deepcopy(one), pickle.loads(pickle.dumps(one)))] == ["secret"] * 2
