from __future__ import annotations

import json
import platform
import subprocess
from pathlib import Path

import pytest

from kiln.guest.image import pieces
from kiln.guest.trial import probe_guest
from kiln.machines.probe import Verdict, _watch, kvm_works, processor
from kiln.machines.process import find
from kiln.machines.qemu import QemuMachines
from tests.guests import CACHE
from tests.machines.disks import a_machine


def test_does_not_use_kvm_that_nothing_has_booted_under(tmp_path):
    assert not kvm_works(tmp_path / "probe.json", None)
    assert not (tmp_path / "probe.json").exists()


@pytest.mark.parametrize("works", [True, False])
def test_believes_a_verdict_on_this_kernel_andprocessor(tmp_path, works):
    record = tmp_path / "probe.json"
    record.write_text(json.dumps(vars(Verdict(platform.release(), processor(), works, "Said so."))))

    assert kvm_works(record, None) is works


@pytest.mark.parametrize(
    "kept",
    ['{"kernel": "2.6.32", "processor": "x", "works": true, "reason": ""}', "{}", "no JSON", "[" * 9000, "x" * 99_999],
)
def test_does_not_believe_other_verdicts(tmp_path, kept):
    record = tmp_path / "probe.json"
    record.write_text(kept)

    assert not kvm_works(record, None)


def test_tells_in_one_line_what_qemu_said_last(tmp_path):
    """Found where KVM's MSRs are refused: the first of two lines was cut within a word, and its end was shown."""
    said = f"Probing\nqemu: error: failed to set MSR 0x10a{' to 0x69' * 20}\nqemu: Assertion `ret == 1' failed.\n"

    with subprocess.Popen(["printf", "%s", said], stdout=subprocess.PIPE) as ended:
        reason = _watch(ended, b"READY", 60)

    assert reason == "QEMU ended: " + "; ".join(said.split("\n")[1:3])


@pytest.mark.vm
def test_tries_a_guest_once(tmp_path, guest_image):
    """Whether KVM works here is the host's business; that a verdict comes and is kept is ours."""
    pieces(CACHE)
    record = tmp_path / "run" / "probe.json"

    works = kvm_works(record, probe_guest(CACHE), limit_s=5)
    kept = record.stat()
    again = kvm_works(record, probe_guest(CACHE), limit_s=5)

    assert again == works == json.loads(record.read_text())["works"]
    assert record.stat() == kept, "it was not tried again"


@pytest.mark.vm
def test_emulates_as_long_as_nothing_has_booted_under_kvm(machines):
    automatic = QemuMachines(machines.run)

    automatic.start(a_machine())

    pid = find(machines.folder("i-1"))
    assert "tcg,thread=single" in Path(f"/proc/{pid}/cmdline").read_text()


@pytest.mark.vm
def test_emulates_severalprocessors_by_a_thread_each(machines):
    machines.start(a_machine(cpus=2))

    pid = find(machines.folder("i-1"))
    assert "tcg,thread=multi" in Path(f"/proc/{pid}/cmdline").read_text()
