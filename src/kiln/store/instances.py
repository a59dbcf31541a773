"""Instances."""

from __future__ import annotations

import uuid
from collections.abc import Collection, Sequence
from typing import Any

from sqlalchemy import Index, bindparam, exists, func, select

from kiln.declare.states import InstanceStatus, TaskStatus
from kiln.declare.system import System
from kiln.ground.values import dataclass
from kiln.store import lanes
from kiln.store.changes import Told
from kiln.store.conditions import Condition, fits
from kiln.store.database import Transaction
from kiln.store.eips import eips
from kiln.store.interfaces import interfaces, mark_vpcs_of, memberships
from kiln.store.order import Key, Order, newest_first
from kiln.store.rows import Recorded, Rows
from kiln.store.tasks import is_lane_busy, tasks


@dataclass(frozen=True, kw_only=True)
class Asked:
    """What was asked for, changes nothing here, and is shown as it was said."""

    affinity: str = ""
    credit_specification: str = ""
    dedicated_host_id: str = ""
    deployment_set_group_no: int = 0
    deployment_set_id: str = ""
    hibernation_configured: bool = False
    hop_limit: int = 0  #: HttpPutResponseHopLimit.
    hpc_cluster_id: str = ""
    isp: str = ""
    login_as_non_root: bool = False
    spot_duration: int = 0  #: Hours.
    spot_price_limit: float = 0.0
    spot_strategy: str = "NoSpot"
    tenancy: str = ""


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
    public_ip: str  #: Empty unless one was asked for.
    key_pair: str
    user_data: str  #: Base64, as it came.
    password: str  #: Sealed; empty when none was set.
    resource_group: str
    deletion_protection: bool
    charge_type: str
    lock_reason: str  #: ``security``, ``financial``, ... or "".
    http_tokens: str
    system: System
    ever_started: bool
    http_endpoint: str = "enabled"
    stopped_mode: str = ""  #: What StopInstance said, ``KeepCharging`` or ``StopCharging``.
    internet_charge_type: str = "PayByTraffic"
    bandwidth_in: int = 0  #: Mbit/s; only remembered, like the next.
    bandwidth_out: int = 0
    auto_release_at: float | None = None  #: When it is to be released, on a full minute.
    asked: Asked = Asked()
    host: str = ""  #: Where its machine is; empty while it has none.
    last_host: str = ""  #: Where its machine was last, and so what its console printed; empty before the first start.
    #: Whether the guest is still to be given the password from the next start on; where there is none, one that nobody
    #: knows, in place of the image's.
    password_due: bool = False
    password_inherit: bool = False  #: Whether it is to keep its image's password.
    ram_role: str = ""  #: Of which its guest is given keys; empty: of none.
    ram_roles_taken: int = 0  #: How often one was taken from it.

    @property
    def ram_role_given(self) -> str:
        """The role as it was given, by which keys name it: the same role given anew is another. Empty: it has none."""
        if not self.ram_role or not self.ram_roles_taken:
            return self.ram_role
        return f"{self.ram_role}/{self.ram_roles_taken}"


instances: Rows[Instance] = Rows(
    "instances",
    Instance,
    recorded=Recorded("instance"),
    told=Told("instance"),
    indexes=[
        Index("instances_list", "account", "region", "created_at", "id"),
        Index("instances_image", "image"),
        Index("instances_public_ip", "public_ip"),
        Index("instances_status", "status"),
    ],
)

#: In which the machine of an instance is somewhere, or begins to be, with its network.
ON = (InstanceStatus.STARTING, InstanceStatus.RUNNING, InstanceStatus.STOPPING)

#: The newest first; those that were made in one call by their names.
NEWEST: Order = newest_first(instances.c, Key(instances.c.name, lambda row: row.name))

_without_place = (
    select(instances.c.id)
    .where(
        ~exists(
            select(interfaces.c.id).where(
                interfaces.c.instance == instances.c.id, interfaces.c.is_primary, interfaces.c.vswitch != ""
            )
        )
    )
    .order_by(instances.c.id)
)


def without_place(tx: Transaction, limit: int) -> list[str]:
    """Instances whose primary interface is missing, or is in no VSwitch."""
    return list(tx.execute(_without_place.limit(limit)).scalars())


def is_where(**equal: str) -> Condition:
    """The condition that one of the instance's interfaces is so: in a ``vpc``, in a ``vswitch``."""
    where = (interfaces.c[name] == value for name, value in equal.items())
    return exists(select(interfaces.c.id).where(interfaces.c.instance == instances.c.id, *where))


def has_private_ip(addresses: Collection[str]) -> Condition:
    """The condition that one of the instance's interfaces has one of the private addresses."""
    mine = interfaces.c.instance == instances.c.id
    return exists(select(interfaces.c.id).where(mine, interfaces.c.private_ip.in_(addresses)))


def has_eip(addresses: Collection[str]) -> Condition:
    """The condition that one of the elastic addresses leads to the instance."""
    return exists(select(eips.c.id).where(eips.c.instance == instances.c.id, eips.c.address.in_(addresses)))


def serial_number(instance: Instance) -> str:
    """A UUID, made of the ID."""
    return str(uuid.uuid5(uuid.NAMESPACE_OID, instance.id))


def has_owner_in(resource_group: str) -> Condition:
    """The condition that an interface's instance is in the resource group."""
    owner = select(instances.c.id).where(
        instances.c.id == interfaces.c.instance, instances.c.resource_group == resource_group
    )
    return exists(owner.correlate(interfaces.table))


def is_in_group(group: str) -> Condition:
    """The condition that the instance is in the security group."""
    mine = memberships.c.instance == instances.c.id
    return exists(select(memberships.c.interface).where(mine, memberships.c.security_group == group))


def is_of_family(family: str) -> Condition:
    """The condition that the instance's type is of the family: ``ecs.t6`` has ``ecs.t6-c1m1.large``."""
    head = func.substr(instances.c.instance_type, 1, len(family) + 1)
    return head.in_([f"{family}{mark}" for mark in (".", "-")])


def named(pattern: str) -> Condition:
    """The condition that the name is *pattern*, in which ``*`` stands for any characters, in any case."""
    if "*" not in pattern:
        return instances.c.name == pattern
    return fits(instances.c.name, pattern)


_host_of = select(instances.c.host).where(instances.c.id == bindparam("id"))


def host_of(tx: Transaction, instance: str) -> str:
    """Where the instance's machine is; empty while it has none."""
    row = instances.kept(tx, "host of", lambda: _host_of, {"id": instance}).fetchone()
    return row[0] if row else ""


def place(tx: Transaction, instance: str, host: str) -> None:
    """Record that the instance's machine is on *host*, or nowhere; what waits in its lane goes with it.

    Its VPC has changed then: a host carries the interfaces of the machines that it has.
    """
    changes = {"host": host, "last_host": host} if host else {"host": host}
    if host_of(tx, instance) != host and instances.update(tx, changes, id=instance):
        lanes.bind(tx, instance, host)
        mark_vpcs_of(tx, instance)


def give_public_ip(tx: Transaction, instance: str, address: str) -> None:
    """Record the public address of an instance, and that its VPC has changed."""
    instances.update(tx, {"public_ip": address}, id=instance)
    mark_vpcs_of(tx, instance)


def on_host(tx: Transaction, vpc: str, host: str) -> list[Instance]:
    """The instances of the VPC whose machines are on *host*, or start there."""
    return instances.all(tx, is_where(vpc=vpc), host=host)


def elsewhere(tx: Transaction, vpc: str, host: str) -> list[Instance]:
    """The instances of the VPC whose machines run on other hosts than *host*, or start or stop there."""
    return instances.all(tx, is_where(vpc=vpc), *_is_elsewhere(host))


def vpcs_on(tx: Transaction, host: str) -> set[str]:
    """The VPCs of the instances whose machines are on *host*, or start there."""
    joined = select(interfaces.c.vpc).join(instances.table, instances.c.id == interfaces.c.instance)
    return {row[0] for row in tx.execute(joined.where(instances.c.host == host).distinct()) if row[0]}


def is_any_elsewhere(tx: Transaction, host: str) -> bool:
    """Whether ``adopt_all`` would change something."""
    return instances.count(tx, *_is_elsewhere(host)) > 0


def _is_elsewhere(host: str) -> tuple[Condition, ...]:
    return (instances.c.host != host, instances.c.status.in_(ON))


def adopt_all(tx: Transaction, host: str, *, only_busy: bool = False) -> int:
    """Record that every machine is on *host*: for where no other can be there. Returns how many were not.

    With *only_busy* of those alone for which something is still to be done.
    """
    foreign = [one for one in instances.all(tx, *_is_elsewhere(host)) if not only_busy or is_lane_busy(tx, one.id)]
    for instance in foreign:
        place(tx, instance.id, host)
    return len(foreign)


def busy_with(tx: Transaction, action: str, ids: Sequence[str]) -> set[str]:
    """Those of the instances for which a task of that action is still to be done."""
    statement = select(tasks.c.resource).where(
        tasks.c.resource.in_(ids), tasks.c.action == action, tasks.c.status == TaskStatus.PROCESSING
    )
    return {row[0] for row in tx.execute(statement)}


def to_release(tx: Transaction, now: float) -> list[Instance]:
    """Instances whose time to be released has come."""
    return instances.all(tx, instances.c.auto_release_at <= now)


def is_spot() -> Condition:
    """The condition that the instance was asked for as a spot instance."""
    return instances.c.spot_strategy != "NoSpot"


def count_by_type(tx: Transaction, *conditions: Condition, **equal: str) -> dict[str, int]:
    """How many instances there are of each instance type."""
    where = (*conditions, *(instances.c[name] == value for name, value in equal.items()))
    statement = select(instances.c.instance_type, func.count()).where(*where).group_by(instances.c.instance_type)
    rows: Any = tx.execute(statement)
    return {row[0]: row[1] for row in rows}


def count_by_host(tx: Transaction) -> dict[str, int]:
    """How many instances have their machines, or start them, on each host that has any."""
    statement = select(instances.c.host, func.count()).where(instances.c.host != "").group_by(instances.c.host)
    rows: Any = tx.execute(statement)
    return {row[0]: row[1] for row in rows}


def idle_running(tx: Transaction, host: str) -> list[Instance]:
    """Running instances whose machines are on *host*, and for which nothing is still to be done.

    Rows that say of no host are of before there were several: those are here.
    """
    in_lane = exists(select(tasks.c.id).where(tasks.c.lane == instances.c.id, tasks.c.status == TaskStatus.PROCESSING))
    return instances.all(tx, ~in_lane, instances.c.host.in_(("", host)), status=InstanceStatus.RUNNING)
