"""Two machines of two hosts that are started on one disk on Ceph, which is not locked: no more than one ever runs."""

from __future__ import annotations

import pytest

from kiln.machines.port import Drive
from kiln.machines.qemu import QemuMachines
from kiln.pools.errors import VolumeBusy
from tests.contract.rbd import RbdKind
from tests.guests import reachable  # noqa: F401 - a fixture
from tests.machines.disks import a_machine
from tests.pools.patterns import SIZE
from tests.tools import needs

pytestmark = [pytest.mark.ceph, pytest.mark.vm, pytest.mark.usefixtures("patient")]


@pytest.fixture
def pool(ceph, reachable):  # noqa: F811 - the fixture.
    needs("qemu-system-x86_64")
    kind = RbdKind()
    kind.ceph = ceph
    opened = kind.open(reachable)
    opened.create("v-one", SIZE)
    yield opened
    kind.close()


@pytest.fixture
def hosts(reachable):  # noqa: F811 - the fixture.
    """The machines of two hosts."""
    both = [QemuMachines(reachable / name / "run", accel="tcg", patience_s=0.5) for name in ("one", "two")]
    yield both
    for machines in both:
        machines.stop("i-1", force=True)


def machine_on(pool):
    drive = Drive(
        node=pool.node("v-one"),
        blockdevs=tuple(pool.blockdevs("v-one")),
        serial="0",
        device="/dev/xvda",
        files=pool.files("v-one"),
    )
    return a_machine(drives=[drive])


def status(machines):
    with machines._session("i-1") as qmp:
        return qmp.execute("query-status")["status"]


def test_the_second_is_refused_and_the_first_goes_on(pool, hosts):
    one, two = hosts
    one.start(machine_on(pool), lambda: pool.require_sole(["v-one"]))

    with pytest.raises(VolumeBusy, match="open elsewhere, too"):
        two.start(machine_on(pool), lambda: pool.require_sole(["v-one"]))

    assert (status(one), two.is_running("i-1")) == ("running", False)
    pool.require_sole(["v-one"])


def test_of_two_that_start_at_one_time_one_goes_on(pool, hosts):
    """Each has its disk open before it looks who else has, and neither guest has begun."""
    one, two = hosts

    def may_run():
        with pytest.raises(VolumeBusy):
            two.start(machine_on(pool), lambda: pool.require_sole(["v-one"]))
        pool.require_sole(["v-one"])

    one.start(machine_on(pool), may_run)

    assert (status(one), two.is_running("i-1")) == ("running", False)


def test_one_that_was_cut_off_is_in_nobodys_way(pool, hosts):
    one, two = hosts
    one.start(machine_on(pool))

    pool.cut_off(["v-one"])
    two.start(machine_on(pool), lambda: pool.require_sole(["v-one"]))

    assert status(two) == "running"


def test_a_disk_that_a_machine_elsewhere_has_is_plugged_into_no_other(pool, hosts):
    one, two = hosts
    one.start(machine_on(pool))
    two.start(a_machine())
    (drive,) = machine_on(pool).drives

    with pytest.raises(VolumeBusy):
        two.attach("i-1", drive, lambda: pool.require_sole(["v-one"]))
    pool.require_sole(["v-one"])
    one.stop("i-1", force=True)
    two.attach("i-1", drive, lambda: pool.require_sole(["v-one"]))

    assert two.guest("i-1").has_node(pool.node("v-one"))
