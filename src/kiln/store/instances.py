"""Instances."""

from __future__ import annotations

import ipaddress
import itertools
import secrets
from collections.abc import Iterator, Sequence
from typing import Any

from sqlalchemy import ColumnElement, Index, Select, bindparam, exists, func, or_, select

from kiln.declare.states import InstanceStatus, TaskStatus
from kiln.declare.system import System
from kiln.ground.values import dataclass
from kiln.store import tasks as lanes
from kiln.store.changes import Told
from kiln.store.conditions import Condition, fits
from kiln.store.database import Transaction
from kiln.store.order import Key, Order, newest_first
from kiln.store.rows import Recorded, Rows
from kiln.store.tasks import tasks


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


instances: Rows[Instance] = Rows(
    "instances",
    Instance,
    recorded=Recorded("instance"),
    told=Told("instance"),
    indexes=[
        Index("instances_list", "account", "region", "created_at", "id"),
        Index("instances_image", "image"),
        Index("instances_private_ip", "account", "private_ip"),
        Index("instances_public_ip", "public_ip"),
        Index("instances_status", "status"),
    ],
)

#: The newest first; those that were made in one call by their names.
NEWEST: Order = newest_first(instances.c, Key(instances.c.name, lambda row: row.name))

IS_IN_VPC: Condition = or_(instances.c.vswitch != "", instances.c.vpc != "")


class NoAddressLeft(Exception):
    """Every address of the network is some instance's."""


def free_private_ips(tx: Transaction, account: str, network: str, count: int) -> list[str]:
    """Addresses of *network* that no instance of the account has. Raises NoAddressLeft."""
    return _free(tx, instances.c.private_ip, network, count, account=account)


def free_public_ips(tx: Transaction, network: str, count: int) -> list[str]:
    """Addresses of *network* that no instance of the deployment has. Raises NoAddressLeft."""
    return _free(tx, instances.c.public_ip, network, count)


def _free(tx: Transaction, column: ColumnElement[str], network: str, count: int, **equal: str) -> list[str]:
    """Some free addresses, from a random place on, so that one that was just given back is not given out at once."""
    taken = select(column).where(*(instances.c[name] == value for name, value in equal.items()))
    candidates = _addresses(network)
    found = _untaken(tx, column, list(itertools.islice(candidates, 2 * count + 62)), equal)
    if len(found) < count:
        # That network is crowded: one look at all of it costs less than many at a part.
        everyones = {row[0] for row in tx.execute(taken)}
        found += itertools.islice((a for a in candidates if a not in everyones), count - len(found))
    if len(found) < count:
        raise NoAddressLeft(network)
    return found[:count]


def _untaken(tx: Transaction, column: ColumnElement[str], candidates: list[str], equal: dict[str, str]) -> list[str]:
    names = [f"address_{n}" for n in range(len(candidates))]

    def build() -> Select[Any]:
        asked = column.in_([bindparam(name) for name in names])
        return select(column).where(*(instances.c[name] == bindparam(name) for name in equal), asked)

    values = {**equal, **dict(zip(names, candidates, strict=True))}
    rows = instances.kept(tx, f"untaken {column.key} {len(names)}", build, values).fetchall()
    found = {row[0] for row in rows}
    return [address for address in candidates if address not in found]


def _addresses(network: str) -> Iterator[str]:
    """Every address of *network* but its first and last, once, from a random one on."""
    block = ipaddress.IPv4Network(network)
    usable = block.num_addresses - 2
    start = secrets.randbelow(usable)
    return (str(block[1 + (start + n) % usable]) for n in range(usable))


def is_in_group(group: str) -> Condition:
    """The condition that the instance is in the security group."""
    padded = "," + instances.c.security_groups + ","
    return func.replace(padded, f",{group},", "") != padded  # Not by LIKE, whose pattern SQLite bounds.


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
    """Record that the instance's machine is on *host*, or nowhere; what waits in its lane goes with it."""
    if host_of(tx, instance) != host and instances.update(tx, {"host": host}, id=instance):
        lanes.bind(tx, instance, host)


def is_any_elsewhere(tx: Transaction, host: str) -> bool:
    """Whether ``adopt_all`` would change something."""
    return instances.count(tx, *_is_elsewhere(host)) > 0


def _is_elsewhere(host: str) -> tuple[Condition, ...]:
    on = (InstanceStatus.STARTING, InstanceStatus.RUNNING, InstanceStatus.STOPPING)
    return (instances.c.host != host, instances.c.status.in_(on))


def adopt_all(tx: Transaction, host: str, *, only_busy: bool = False) -> int:
    """Record that every machine is on *host*: for where no other can be there. Returns how many were not.

    With *only_busy* of those alone for which something is still to be done.
    """
    foreign = [
        one for one in instances.all(tx, *_is_elsewhere(host)) if not only_busy or lanes.is_lane_busy(tx, one.id)
    ]
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


def idle_running(tx: Transaction) -> list[Instance]:
    """Running instances for which nothing is still to be done."""
    in_lane = exists(select(tasks.c.id).where(tasks.c.lane == instances.c.id, tasks.c.status == TaskStatus.PROCESSING))
    return instances.all(tx, ~in_lane, status=InstanceStatus.RUNNING)
