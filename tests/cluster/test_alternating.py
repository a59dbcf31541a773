"""A client that comes to another door with every request, as a balancer without a memory has it, runs the main job."""

from __future__ import annotations

import itertools
import json

import pytest
from alibabacloud_ecs20140526 import models

from kiln.testing import connect
from tests.cluster.deployments import TYPE
from tests.waiting import wait_for

pytestmark = [pytest.mark.postgresql, pytest.mark.slow, pytest.mark.sdk]

_WITHIN_S = 300.0


class Alternating:
    """The official clients of several doors as one: each call goes to the next door."""

    def __init__(self, doors):
        self.region = {"region_id": doors[0].region}
        self._turns = itertools.cycle([connect(door) for door in doors])

    def __getattr__(self, action):
        return lambda request: getattr(next(self._turns), action)(request).body

    def image(self, image):
        asked = models.DescribeImagesRequest(**self.region, image_id=image, status="Creating,Available,CreateFailed")
        (found,) = self.describe_images(asked).images.image
        return found

    def instance(self, instance):
        asked = models.DescribeInstancesRequest(**self.region, instance_ids=json.dumps([instance]))
        (found,) = self.describe_instances(asked).instances.instance
        return found

    def await_image(self, image):
        wait_for(lambda: self.image(image).status == "Available", within_s=_WITHIN_S)

    def await_instance(self, instance, status):
        wait_for(lambda: self.instance(instance).status == status, within_s=_WITHIN_S)

    def run(self, image, name):
        asked = models.RunInstancesRequest(**self.region, image_id=image, instance_type=TYPE, instance_name=name)
        (made,) = self.run_instances(asked).instance_id_sets.instance_id_set
        assert self.instance(made).instance_name == name
        self.await_instance(made, "Running")
        return made


def test_the_main_job_is_done_by_a_client_that_changes_the_door_at_every_request(deployed):
    """What one door has answered the next one knows at once: nothing is missing there, and nothing is refused."""
    opened = [deployed.start(name, "api") for name in ("api-1", "api-2")]
    deployed.start("worker", "worker")
    caller = deployed.caller(opened[0])
    base = deployed.ask_for_image(caller)
    client = Alternating(opened)
    client.await_image(base)
    first = client.run(base, "first")

    made = client.create_image(
        models.CreateImageRequest(**client.region, instance_id=first, image_name="made", client_token="once")
    ).image_id
    assert client.image(made).image_name == "made"
    again = client.create_image(
        models.CreateImageRequest(**client.region, instance_id=first, image_name="made", client_token="once")
    ).image_id
    assert again == made
    client.await_image(made)
    second = client.run(made, "second")
    client.stop_instance(models.StopInstanceRequest(instance_id=second))
    assert client.instance(second).status in ("Stopping", "Stopped")
    client.await_instance(second, "Stopped")
    for instance in (first, second):
        client.delete_instance(models.DeleteInstanceRequest(instance_id=instance, force=True))
    asked = models.DescribeInstancesRequest(**client.region)
    wait_for(lambda: client.describe_instances(asked).total_count == 0, within_s=_WITHIN_S)
    client.delete_image(models.DeleteImageRequest(**client.region, image_id=made))

    asked = models.DescribeImagesRequest(**client.region, image_owner_alias="self")
    assert [one.image_id for one in client.describe_images(asked).images.image] == [base]
