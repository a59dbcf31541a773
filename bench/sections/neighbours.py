"""CreateImage of a machine that is well, beside a hundred that are not, against its usual in the same run.

Two Kilns take turns, one with nobody else in it. In the other every hostile
machine is being captured, too: all of the Kiln's work for an instance waits for
somebody who does not answer, or says too much.
"""

from __future__ import annotations

import shutil
import statistics
import time

from bench.neighbours import Neighbourhood, open_neighbourhood
from bench.report import Figure, at_most
from bench.sections.section import Bench
from bench.waits import GENTLE_S, create_image

_TIMES = 2.0
_HOSTILE = 100
_SETTLES_S = 1.0


def run(it: Bench) -> None:
    """Take turns."""
    hostile, turns = it.either(_HOSTILE, 24), it.either(12, 4)
    it.report.head(f"CreateImage of a running machine beside {hostile} hostile ones, of which images are made as well")
    if shutil.which("qemu-system-x86_64") is None:
        it.report.say("  left out: there is no qemu-system-x86_64 here")
        return
    log = it.folder / "neighbours.log"  # A warning for each thing that a hostile machine says.
    with (
        open_neighbourhood(it.folder / "calm", 0) as calm,
        open_neighbourhood(it.folder / "crowded-by-guests", hostile, log) as crowded,
    ):
        for place in (calm, crowded):
            create_image(place.client, place.healthy, GENTLE_S)
        usual, beside = [], []
        _begin_images(crowded)
        for _ in range(turns):
            usual.append(create_image(calm.client, calm.healthy, GENTLE_S).done_s * 1000)
            beside.append(create_image(crowded.client, crowded.healthy, GENTLE_S).done_s * 1000)
        usual_ms, beside_ms = statistics.median(usual), statistics.median(beside)
        ratio = beside_ms / usual_ms
        note = (
            f"{beside_ms:.1f} ms ({min(beside):.1f} to {max(beside):.1f}) "
            f"instead of {usual_ms:.1f} ms ({min(usual):.1f} to {max(usual):.1f})"
        )
        aim = at_most(ratio, _TIMES, "at most twice its usual")
        it.report.add(Figure("beside them, against its usual", ratio, "x", note=note, aim=aim))


def _begin_images(place: Neighbourhood) -> None:
    """Ask for an image of every hostile machine: each is tried six times, which goes on for longer than a minute."""
    for instance in place.hostile:
        place.client.call("CreateImage", InstanceId=instance)
    time.sleep(_SETTLES_S)
