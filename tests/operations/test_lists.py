"""Promises that every list keeps: what an empty filter means, and in which order rows come."""

from __future__ import annotations

from typing import Any

import pytest

from kiln.operations import ALL
from tests.clouds import Cloud
from tests.operations.images.gallery import an_image
from tests.operations.tasks.agenda import a_task
from tests.stock import a_disk, an_instance

#: A list that narrows what comes, and the operation that takes it.
FILTERS = [
    (operation, field.wire)
    for operation in ALL
    if operation.is_read and operation.name.startswith(("Describe", "List"))
    for field in operation.parameters
    if field.repeated and not field.accepted
]


def rows(answer: Any) -> list[Any]:
    """The elements of the one list that an answer has."""
    if isinstance(answer, list):
        return answer
    inner = [value for value in answer.values() if isinstance(value, dict | list)]
    return rows(inner[0]) if inner else []


@pytest.mark.parametrize(("operation", "name"), FILTERS, ids=lambda one: getattr(one, "name", one))
def test_nothing_passes_a_filter_by_an_empty_list(cloud: Cloud, operation, name):
    image = an_image(cloud)
    a_disk(cloud)
    instance = an_instance(cloud, system_disk=False)
    a_task(cloud, resource=image.id)
    cloud.call("TagResources", {"Tag.1.Key": "a", "ResourceId.1": instance.id}, ResourceType="instance")
    beside = {}
    if operation.name == "ListTagResources":
        beside = {"ResourceType": "instance", "ResourceId.1": instance.id}
    assert rows(cloud.call(operation.name, beside))

    beside.pop(f"{name}.1", None)
    if operation.name == "ListTagResources" and name == "ResourceId":
        beside["Tag.1.Key"] = "a"

    assert rows(cloud.call(operation.name, beside | {name: "[]"})) == []
    assert rows(cloud.call(operation.name, beside | {f"{name}.[]": ""})) == []


def test_nothing_passes_a_tag_filter_without_values(cloud: Cloud):
    instance = an_instance(cloud, system_disk=False)
    cloud.call("TagResources", {"Tag.1.Key": "a", "ResourceId.1": instance.id}, ResourceType="instance")

    for values, found in [({}, 1), ({"TagFilter.1.TagValues": "[]"}, 0)]:
        answer = cloud.call("ListTagResources", {"TagFilter.1.TagKey": "a"} | values, ResourceType="instance")
        assert len(rows(answer)) == found
