"""Making instances: what RunInstances and CreateInstance share.

All names are chosen and written down first: the instances (Pending), their
disks (Creating) and the heads that the disks will stand on (planned). Then one
task for each instance makes the heads and, in one transaction, says that they
are there. An instance whose disks cannot be made goes away again, with all
that was written down for it; the task and the log say why.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace

from kiln.calls.call import Call, Job
from kiln.calls.sizes import size_in
from kiln.declare.errors import ApiError
from kiln.declare.facts import Raw, facts
from kiln.declare.ids import new_id
from kiln.declare.states import DiskStatus, InstanceStatus
from kiln.declare.system import NO_SYSTEM
from kiln.ground.killpoints import reach
from kiln.ground.units import GiB
from kiln.ground.values import dataclass
from kiln.operations.errors.key_pairs import DependencyViolationWindowsInstance, InvalidKeyPairNameNotFound
from kiln.operations.errors.launches import InvalidParameterConflictArchitecture, OperationDeniedNoStock
from kiln.operations.errors.tags import DuplicateTagKey, InvalidTagKeyMalformed
from kiln.operations.instances.parts import boot_image, launch_disks, naming, placement, power
from kiln.operations.instances.parts.boot_image import BootImage
from kiln.operations.instances.parts.launch_disks import DiskSpec
from kiln.operations.instances.parts.naming import InvalidInstanceNameCustomMalformed
from kiln.operations.instances.parts.placement import Placement, Wanted
from kiln.operations.steps import drafts, heads, key_pairs, resource_groups
from kiln.operations.steps.guest_input import (
    INSTANCE_NAME,
    InvalidHostNameMalformed,
    InvalidInstanceNameMalformed,
    InvalidPasswordMalformed,
    InvalidPasswordParamMismatch,
    check_host_name,
    check_password,
    of_new_system,
)
from kiln.operations.steps.heads import Head
from kiln.operations.steps.launch_input import DataDisk, LaunchInput, SystemDisk
from kiln.operations.steps.resource_groups import InvalidResourceGroupNotFound
from kiln.store import interfaces, tags
from kiln.store.addresses import NoAddressLeft, free_public
from kiln.store.database import Transaction
from kiln.store.disks import Disk, disks
from kiln.store.hosts import NOTHING
from kiln.store.instances import Asked, Instance, instances, place

ERRORS: tuple[type[ApiError], ...] = (
    *boot_image.ERRORS,
    InvalidParameterConflictArchitecture,
    *launch_disks.ERRORS,
    *placement.ERRORS,
    InvalidInstanceNameMalformed,
    InvalidInstanceNameCustomMalformed,
    InvalidHostNameMalformed,
    InvalidPasswordMalformed,
    InvalidPasswordParamMismatch,
    InvalidKeyPairNameNotFound,
    DependencyViolationWindowsInstance,
    InvalidResourceGroupNotFound,
    InvalidTagKeyMalformed,
    DuplicateTagKey,
)


@dataclass(frozen=True, kw_only=True)
class Wish:
    """What the two operations spell differently, or only one of them knows."""

    system: SystemDisk
    system_gib: int | None
    data: Sequence[DataDisk]
    count: int = 1
    unique: bool = False
    host_names: Sequence[str] = ()  #: One for each instance, as far as they go.
    place: Wanted
    with_public_ip: bool = False
    auto_release_at: float | None = None
    isp: str = ""
    login_as_non_root: bool = False
    unknown_type: type[ApiError]


@dataclass(frozen=True, kw_only=True)
class NewDisk:
    """One disk that is to be made."""

    row: Disk
    head: Head


@dataclass(frozen=True, kw_only=True)
class Launch:
    """One instance that is to be made."""

    instance: Instance
    disks: tuple[NewDisk, ...]


@dataclass(frozen=True, kw_only=True)
class Launches:
    """The instances of one call, and where they will be."""

    ones: tuple[Launch, ...]
    placement: Placement

    @property
    def ids(self) -> tuple[str, ...]:
        """Of the instances, in the order of their numbers."""
        return tuple(one.instance.id for one in self.ones)


@dataclass(frozen=True, kw_only=True)
class Made:
    """One disk, and the head that is made for it."""

    disk: str
    volume: str
    layer: str | None
    size_bytes: int
    key: str = ""  #: That it is encrypted with.

    @classmethod
    def of(cls, new: NewDisk) -> Made:
        """What has to be remembered of a new disk."""
        head = new.head
        return cls(disk=new.row.id, volume=head.volume, layer=head.layer, size_bytes=head.size_bytes, key=head.key)

    @property
    def head(self) -> Head:
        """The head to be made."""
        return Head(self.volume, self.layer, self.size_bytes, self.key)


def _named(raw: Raw) -> Raw:
    """Version 1 held of each disk the four in a row, and later, with no other version, by their names."""
    names = ("disk", "volume", "layer", "size_bytes")
    disks = [dict(zip(names, one, strict=True)) if isinstance(one, list) else one for one in raw["disks"]]
    return raw | {"disks": disks}


@facts(version=2, older={1: _named})
class LaunchFacts:
    """What RunInstances and CreateInstance remember."""

    disks: tuple[Made, ...]


def plan(call: Call, p: LaunchInput, wish: Wish) -> Launches:
    """Decide on everything. Raises *wish.unknown_type* and what ERRORS lists."""
    kind = call.deployment.instance_type(p.instance_type)
    if kind is None:
        raise wish.unknown_type(instance_type=p.instance_type)
    home = placement.choose(call, p.region_id, wish.place, wish.count)
    resource_groups.check_there(call, p.resource_group_id)
    boot = boot_image.choose(call, p.region_id, p.image_id, p.image_family)
    if not boot_image.can_run(kind, boot.image.system):
        raise InvalidParameterConflictArchitecture(instance_type=kind.id, architecture=boot.image.system.architecture)
    check_password(p.password, p.password_inherit, boot.image.system.os_type)
    key_pairs.check_usable(call, p.region_id, p.key_pair_name, boot.image.system.os_type, InvalidKeyPairNameNotFound)
    specs = launch_disks.decide(call, boot, wish.system, wish.system_gib, wish.data)
    rows = _instances(call, p, wish, _model(call, p, wish, boot, home.vswitch.zone))
    made = (Launch(instance=row, disks=tuple(_disk(call, p, row, spec, boot) for spec in specs)) for row in rows)
    return Launches(ones=tuple(made), placement=home)


def _instances(call: Call, p: LaunchInput, wish: Wish, model: Instance) -> list[Instance]:
    ids = [new_id("instance") for _ in range(wish.count)]
    try:
        found = free_public(call.tx, call.deployment.public_network, wish.count) if wish.with_public_ip else None
    except NoAddressLeft as e:
        raise OperationDeniedNoStock(network=str(e)) from e
    public = found or [""] * wish.count
    names = _names(p, wish, ids)
    hosts = _host_names(p, wish, ids, model.system.os_type)
    return [
        replace(
            model,
            id=ids[n],
            name=names[n],
            host_name=hosts[n],
            public_ip=public[n],
        )
        for n in range(wish.count)
    ]


def _model(call: Call, p: LaunchInput, wish: Wish, boot: BootImage, zone: str) -> Instance:
    """What all the instances of one call have in common."""
    image = boot.image
    return Instance(
        id="",
        account=call.account,
        region=p.region_id,
        zone=zone,
        name="",
        description=p.description or "",
        host_name="",
        status=InstanceStatus.PENDING,
        instance_type=p.instance_type,
        image=image.id,
        created_at=call.now,
        started_at=None,
        public_ip="",
        key_pair=p.key_pair_name or "",
        user_data=p.user_data or "",
        **of_new_system(
            call.ports.seal(p.password) if p.password else "", p.user_data or "", inherit=bool(p.password_inherit)
        ),
        resource_group=p.resource_group_id or "",
        deletion_protection=p.deletion_protection,
        charge_type=p.instance_charge_type,
        lock_reason="",
        http_tokens=p.http_tokens,
        http_endpoint=p.http_endpoint,
        system=image.system,
        ever_started=False,
        internet_charge_type=p.internet_charge_type,
        bandwidth_in=p.internet_max_bandwidth_in or 0,
        bandwidth_out=p.internet_max_bandwidth_out,
        auto_release_at=wish.auto_release_at,
        ram_role=p.ram_role_name or "",
        asked=_asked(p, wish),
    )


def _asked(p: LaunchInput, wish: Wish) -> Asked:
    """What is only shown again."""
    return Asked(
        affinity=p.affinity or "",
        credit_specification=p.credit_specification or "",
        dedicated_host_id=p.dedicated_host_id or "",
        deployment_set_group_no=p.deployment_set_group_no or 0,
        deployment_set_id=p.deployment_set_id or "",
        hibernation_configured=bool(p.hibernation_options and p.hibernation_options.configured),
        hop_limit=p.http_put_response_hop_limit or 0,
        hpc_cluster_id=p.hpc_cluster_id or "",
        isp=wish.isp,
        login_as_non_root=wish.login_as_non_root,
        spot_duration=p.spot_duration or 0,
        spot_price_limit=p.spot_price_limit or 0.0,
        spot_strategy=p.spot_strategy or "NoSpot",
        tenancy=p.tenancy or "",
    )


def _names(p: LaunchInput, wish: Wish, ids: Sequence[str]) -> Sequence[str]:
    if p.instance_name is None:
        return ids
    names = naming.expand(p.instance_name, wish.count, wish.unique)
    for name in names:
        if not INSTANCE_NAME.allows(name):
            raise InvalidInstanceNameMalformed(instance_name=name)
    return names


def _host_names(p: LaunchInput, wish: Wish, ids: Sequence[str], os_type: str) -> Sequence[str]:
    """What was asked for, else the ID as far as the operating system takes it."""
    if p.host_name is not None:
        names = naming.expand(p.host_name, wish.count, wish.unique)
        names = [name.replace("${instance_id}", ids[n]) for n, name in enumerate(names)]
    else:
        names = [*wish.host_names, *ids[len(wish.host_names) :]]
    for name in names:
        if name not in ids:
            check_host_name(name, os_type)
    return [name[:15] if os_type == "windows" else name for name in names]


def _disk(call: Call, p: LaunchInput, instance: Instance, spec: DiskSpec, boot: BootImage) -> NewDisk:
    image, is_system = boot.image, spec.type == "system"
    draft = drafts.new_disk(
        call,
        region=instance.region,
        zone=instance.zone,
        name=spec.name,
        description=spec.description,
        type=spec.type,
        category=spec.category,
        performance_level=spec.performance_level,
        size_gib=spec.size_gib,
        source_snapshot=spec.snapshot,
        resource_group=instance.resource_group,
        system=image.system if is_system else NO_SYSTEM,
        asked=replace(
            spec.asked,
            storage_set_id=p.storage_set_id or "",
            storage_set_partition_number=p.storage_set_partition_number or 0,
        ),
        kms_key=spec.kms_key,
    )
    row = replace(
        draft,
        instance=instance.id,
        device=spec.device,
        image=image.id if is_system else "",
        delete_with_instance=spec.delete_with_instance,
        ever_attached=True,
        snapshot_policy=spec.policy,
        snapshots_until=call.now,
    )
    return NewDisk(row=row, head=Head(new_id("volume"), spec.layer, spec.size_gib * GiB, spec.kms_key))


def record(call: Call, launches: Launches, labels: Mapping[str, str], *, starts: bool = False) -> None:
    """Write everything down and enqueue one task of the call's action for each instance, which *starts* them or not."""
    instances.insert(call.tx, *(launch.instance for launch in launches.ones))
    placement.record(call, launches.placement, [launch.instance for launch in launches.ones])
    disks.insert(call.tx, *(disk.row for launch in launches.ones for disk in launch.disks))
    for launch in launches.ones:
        instance, task = launch.instance, new_id("task")
        heads.record(call, task, [disk.head for disk in launch.disks])
        tags.put(call.tx, call.account, "instance", instance.id, labels)
        remembered = LaunchFacts(disks=tuple(Made.of(disk) for disk in launch.disks))
        room = size_in(call.deployment, instance.instance_type) if starts else NOTHING
        call.enqueue(instance.id, remembered, region=instance.region, lane=instance.id, task_id=task, room=room)


def make(job: Job[LaunchFacts], then: InstanceStatus) -> None:
    """Make the disks of a Pending instance and move it to *then*; nothing happens when that was done already."""
    with job.ports.database.read() as tx:
        instance = instances.find(tx, id=job.task.resource)
    if instance is None or instance.status != InstanceStatus.PENDING:
        return
    if then == InstanceStatus.STARTING:
        power.require_room(job, instance)
    heads.make(job, [made.head for made in job.facts.disks])

    def settle(tx: Transaction) -> None:
        if not instances.move(tx, InstanceStatus.PENDING, then, {}, id=job.task.resource):
            return
        if then == InstanceStatus.STARTING:
            place(tx, job.task.resource, job.ports.host)
        now = job.ports.clock()
        heads.settle(tx, [made.head for made in job.facts.disks], now)
        for made in job.facts.disks:
            changes = {"volume": made.volume, "attached_at": now}
            disks.move(tx, DiskStatus.CREATING, DiskStatus.IN_USE, changes, id=made.disk)

    job.write(settle)
    reach("launch.settled")


def give_up(job: Job[LaunchFacts], error: ApiError) -> None:
    """Remove an instance whose disks could not be made; one that has its disks stays, Stopped."""

    def remove(tx: Transaction) -> bool:
        instance = instances.find(tx, id=job.task.resource)
        if instance is None or instance.status != InstanceStatus.PENDING:
            return False
        job.fail(tx, error)
        heads.doom(tx, [made.volume for made in job.facts.disks])
        disks.delete(tx, instance=instance.id)
        tags.drop(tx, "instance", instance.id)
        interfaces.free(tx, instance.id)
        instances.delete(tx, id=instance.id)
        return True

    if not job.write(remove):
        power.give_up_start(job, error)
