"""What is measured, section by section. Each takes a Bench and adds its figures to the report."""

from __future__ import annotations

from collections.abc import Callable, Mapping

from bench.sections import (
    auditing,
    cluster,
    console,
    creating,
    crowded,
    describing,
    exporting,
    flat,
    launching,
    neighbours,
    networking,
    peers,
    running,
    starting,
    stopped,
    words,
)
from bench.sections.section import Bench

SECTIONS: Mapping[str, Callable[[Bench], None]] = {
    "start": starting.run,
    "words": words.run,
    "console": console.run,
    "describe": describing.run,
    "create": creating.run,
    "slow": creating.run_slowly,
    "audit": auditing.run,
    "crowded": crowded.run,
    "neighbours": neighbours.run,
    "launch": launching.run,
    "stopped": stopped.run,
    "running": running.run,
    "flat": flat.run,
    "export": exporting.run,
    "network": networking.run,
    "cluster": cluster.run,
}

#: Beside others than Kiln, which have to be installed.
PEERS: Callable[[Bench], None] = peers.run
