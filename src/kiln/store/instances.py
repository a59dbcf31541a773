"""Instances."""

from __future__ import annotations

from dataclasses import dataclass

from sqlalchemy import Index

from kiln.store.rows import Rows


@dataclass(frozen=True, kw_only=True)
class Instance:
    """One instance. Empty text means: not given."""

    id: str
    account: str
    region: str
    zone: str
    name: str
    description: str
    host_name: str
    status: str
    instance_type: str
    image: str
    created_at: float
    started_at: float | None
    private_ip: str
    public_ip: str  #: Empty unless one was asked for.
    mac: str
    security_groups: str  #: Identifiers, separated by commas.
    vswitch: str
    vpc: str
    key_pair: str
    user_data: str  #: Base64, as it came.
    password: str  #: Sealed; empty when none was set.
    resource_group: str
    deletion_protection: bool
    charge_type: str
    lock_reason: str  #: ``security``, ``financial``, ... or "".
    http_tokens: str
    platform: str
    architecture: str
    os_type: str
    boot_mode: str
    ever_started: bool


instances: Rows[Instance] = Rows(
    "instances", Instance, indexes=[Index("instances_list", "account", "region", "created_at", "id")]
)
