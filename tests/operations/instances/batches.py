"""What each operation on several instances promises, whichever it is."""

from __future__ import annotations

from typing import Any

from kiln.declare.states import InstanceStatus
from kiln.store.tasks import tasks
from tests.clouds import OTHER, REGION, Cloud
from tests.operations.disks.watched import run
from tests.operations.instances.things import status_of
from tests.reading import every
from tests.stock import an_instance


def a_running_instance(cloud: Cloud) -> str:
    """The ID of an instance whose machine runs."""
    instance = an_instance(cloud, status=InstanceStatus.RUNNING)
    run(cloud, instance.id)
    return instance.id


def a_stopped_instance(cloud: Cloud) -> str:
    """The ID of an instance whose machine is off."""
    return an_instance(cloud).id


def several(*instances: str, **more: Any) -> dict[str, Any]:
    """The parameters that name the instances."""
    return {"RegionId": REGION} | {f"InstanceId.{n}": one for n, one in enumerate(instances, 1)} | more


def told(cloud: Cloud, action: str, *instances: str, **more: Any) -> list[tuple[str, str, str | None, str | None]]:
    """Of each instance what the answer says of it: ID, code, and the statuses before and at once."""
    rows = cloud.call(action, several(*instances, **more))["InstanceResponses"]["InstanceResponse"]
    assert all((row["Code"] == "200") == (row["Message"] == "success") for row in rows)
    return [(row["InstanceId"], row["Code"], row.get("PreviousStatus"), row.get("CurrentStatus")) for row in rows]


def refuses(cloud: Cloud, action: str, code: str, status: int, *instances: str, **more: Any) -> str:
    """That the whole request is refused, and changes nothing; the error's text."""
    before = [status_of(cloud, one) for one in instances]
    error = cloud.refuses(action, code, status, several(*instances, **more))
    assert [status_of(cloud, one) for one in instances] == before
    assert every(cloud, tasks) == []
    return str(error)


class Refusals:
    """To be inherited by a test class that says of which action it is, and which instances are ready for it."""

    action: str
    ready: Any
    not_ready: InstanceStatus

    def test_no_instances(self, cloud):
        text = refuses(cloud, self.action, "InvalidInstanceId.NotFound", 403)

        assert text == "InstanceId should not be null."

    def test_an_empty_list(self, cloud):
        text = refuses(cloud, self.action, "InvalidInstanceId.NotFound", 403, "")

        assert text == "InstanceId should not be null."

    def test_more_than_a_hundred(self, cloud):
        refuses(cloud, self.action, "InvalidParameter.TooManyInstanceIds", 403, *[f"i-{n}" for n in range(101)])

    def test_another_region(self, cloud):
        cloud.refuses(self.action, "InvalidRegionId.NotFound", 404, several("i-unknown", RegionId="elsewhere"))

    def test_all_when_one_is_not_there(self, cloud):
        text = refuses(cloud, self.action, "InvalidInstanceId.NotFound", 404, type(self).ready(cloud), "i-unknown")

        assert text == "The specified InstanceId does not exist: i-unknown."

    def test_what_is_no_id(self, cloud):
        for odd in ("../../etc/passwd", "i-' OR 1=1 --", "*", "i-\u202e", "x" * 4000):
            refuses(cloud, self.action, "InvalidInstanceId.NotFound", 404, type(self).ready(cloud), odd)

    def test_another_accounts_instance(self, cloud):
        mine = type(self).ready(cloud)

        cloud.refuses(self.action, "InvalidInstanceId.NotFound", 404, several(mine), account=OTHER)

    def test_all_when_one_is_locked(self, cloud):
        locked = an_instance(cloud, lock_reason="security").id

        text = refuses(cloud, self.action, "InstanceLockedForSecurity", 403, type(self).ready(cloud), locked)

        assert text.endswith(f": {locked}.")

    def test_all_when_one_is_in_another_status(self, cloud):
        other = an_instance(cloud, status=self.not_ready).id

        text = refuses(cloud, self.action, "IncorrectInstanceStatus", 403, type(self).ready(cloud), other)

        assert text.endswith(f": {other}.")

    def test_a_dry_run_that_would_succeed(self, cloud):
        refuses(cloud, self.action, "DRYRUN.SUCCESS", 400, type(self).ready(cloud), DryRun=True)

    def test_a_dry_run_that_would_not(self, cloud):
        refuses(cloud, self.action, "InvalidInstanceId.NotFound", 404, "i-unknown", DryRun=True)
