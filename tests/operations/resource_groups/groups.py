"""Resource groups as ListResourceGroups shows them."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from tests.clouds import Cloud

NOT_THERE = "EntityNotExists.ResourceGroup"


def a_resource_group(cloud: Cloud, name: str = "web") -> str:
    """The ID of a new one."""
    made = cloud.call("CreateResourceGroup", Name=name, DisplayName=f"All of {name}")
    return str(made["ResourceGroup"]["Id"])


def names(cloud: Cloud, params: Mapping[str, Any] | None = None, **more: Any) -> list[str]:
    """Their names."""
    answer = cloud.call("ListResourceGroups", params, **more)
    return [group["Name"] for group in answer["ResourceGroups"]["ResourceGroup"]]


def default_group(cloud: Cloud) -> str:
    """The ID of the account's default group."""
    (group,) = cloud.call("ListResourceGroups", Name="default")["ResourceGroups"]["ResourceGroup"]
    return str(group["Id"])
