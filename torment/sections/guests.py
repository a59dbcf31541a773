"""A hundred machines in the hands of somebody else beside one that is well, below one served Kiln.

Images are made of all of them. Those of the healthy one come, one after the
other, while the others' wait for somebody who does not answer or says too much;
those end too, each in its time. In the end the healthy one loses its power, and
that is noticed.
"""

from __future__ import annotations

import json
import os
import shutil
import signal
import time
import urllib.error
import urllib.request
from collections.abc import Iterator, Sequence

from bench.neighbours import Neighbourhood, open_neighbourhood
from bench.waits import create_image
from kiln.machines import process
from kiln.machines.runfolder import RunFolder
from tests.machines.hostile import MANNERS
from torment.campaign import Outcome, Place, Skipped, Verdict

_MOST = 100
_FEW = 40  #: Up to so many tries nobody waits for the hostile ones' ends, which takes longer than a minute.
#: Within which an image of the healthy one comes, on a busy machine that stands still for half a minute; its usual is a
#: twentieth of a second. Who waits until one after the other of the others is given up takes longer.
_HEALTHY_S = 45.0
_NOTICED_S = 120.0
_ENDED_S = 240.0
_PAUSE_S = 0.5
_TOOLS = ("qemu-img", "qemu-system-x86_64")


def run(place: Place) -> Iterator[Outcome]:
    """See the module."""
    missing = [tool for tool in _TOOLS if shutil.which(tool) is None]
    if missing:
        raise Skipped(f"needs {', '.join(missing)}")
    place.folder.chmod(0o711)  # Machines run as users of their own.
    is_few = place.tries <= _FEW
    count = len(MANNERS) if is_few else _MOST
    with open_neighbourhood(place.folder / "data", count, place.folder / "said") as it:
        begun = {it.client.call("CreateImage", InstanceId=one)["ImageId"]: one for one in it.hostile}
        waiting, deadline, tried = set(begun), time.monotonic() + _ENDED_S, 0
        while waiting and time.monotonic() < deadline and (tried + 3 < place.tries or not is_few):
            yield _image_comes(it)
            yield _is_well(it)
            tried += 2
            statuses = _statuses(it, begun)
            for image in sorted(waiting):
                if statuses.get(image) in ("Available", "CreateFailed"):
                    waiting.discard(image)
                    tried += 1
                    yield Outcome(f"an image of a machine that is {_manner(it.hostile, begun[image])}")
            time.sleep(_PAUSE_S)
        if not is_few:
            for image in sorted(waiting):
                subject = f"an image of a machine that is {_manner(it.hostile, begun[image])}"
                yield Outcome(subject, Verdict.FAILED, f"it has not ended after {_ENDED_S:.0f} s")
        yield _power_is_cut(it, place)


def _manner(hostile: Sequence[str], instance: str) -> str:
    return MANNERS[hostile.index(instance) % len(MANNERS)]


def _image_comes(it: Neighbourhood) -> Outcome:
    subject = "an image of the healthy machine"
    try:
        took = create_image(it.client, it.healthy, _PAUSE_S / 50).done_s
    except Exception as error:  # noqa: BLE001 - whatever keeps it from coming.
        return Outcome(subject, Verdict.FAILED, repr(error))
    return Outcome(subject) if took < _HEALTHY_S else Outcome(subject, Verdict.FAILED, f"it came after {took:.1f} s")


def _is_well(it: Neighbourhood) -> Outcome:
    subject = "the service's health"
    try:
        with urllib.request.urlopen(it.server.endpoint + "/readyz", timeout=_HEALTHY_S) as answer:
            json.load(answer)
    except (urllib.error.HTTPError, OSError, ValueError) as error:
        return Outcome(subject, Verdict.FAILED, repr(error))
    return Outcome(subject)


def _statuses(it: Neighbourhood, images: dict[str, str]) -> dict[str, str]:
    found: dict[str, str] = {}
    names = list(images)
    for at in range(0, len(names), 50):
        asked = ",".join(names[at : at + 50])
        rows = it.client.call("DescribeImages", ImageId=asked, Status="ALL", PageSize=100)["Images"]["Image"]
        found |= {row["ImageId"]: row["Status"] for row in rows}
    return found


def _power_is_cut(it: Neighbourhood, place: Place) -> Outcome:
    subject = "a machine that is dead is said to be Stopped"
    pid = process.find(RunFolder(place.folder / "data" / "run" / it.healthy))
    if pid is None:
        return Outcome(subject, Verdict.FAILED, "it had died before")
    os.kill(pid, signal.SIGKILL)
    began = time.monotonic()
    while time.monotonic() - began < _NOTICED_S:
        (row,) = it.client.call("DescribeInstances", InstanceIds=[it.healthy])["Instances"]["Instance"]
        if row["Status"] == "Stopped":
            return Outcome(subject)
        time.sleep(_PAUSE_S / 5)
    return Outcome(subject, Verdict.FAILED, f"not after {_NOTICED_S:.0f} s")
