"""What this deployment offers: regions, zones, instance types, disk categories, resource groups and quotas.

Configuration, not rows: an operator sets it, operations only read it.
"""

from __future__ import annotations

from dataclasses import field

from kiln.declare.regions import zones_of
from kiln.ground.values import dataclass


@dataclass(frozen=True)
class InstanceType:
    """A size of instance."""

    id: str
    cpus: int
    memory_mib: int
    architecture: str = "x86_64"

    @property
    def family(self) -> str:
        """``ecs.t6`` of ``ecs.t6-c1m1.large``; ``ecs.g6`` of ``ecs.g6.large``."""
        stem = self.id.rpartition(".")[0]
        return stem.split("-")[0]


#: Small enough for a laptop. IDs are those of ECS, so that templates written for it name them.
INSTANCE_TYPES = (
    InstanceType("ecs.t5-lc2m1.nano", 1, 512),
    InstanceType("ecs.t5-lc1m1.small", 1, 1024),
    InstanceType("ecs.t5-lc1m2.small", 1, 2048),
    InstanceType("ecs.t5-lc1m2.large", 2, 4096),
    InstanceType("ecs.t6-c2m1.large", 2, 1024),
    InstanceType("ecs.t6-c1m1.large", 2, 2048),
    InstanceType("ecs.t6-c1m2.large", 2, 4096),
    InstanceType("ecs.n1.tiny", 1, 1024),
    InstanceType("ecs.n1.small", 1, 2048),
    InstanceType("ecs.n4.small", 1, 2048),
    InstanceType("ecs.n4.large", 2, 4096),
    InstanceType("ecs.e-c1m1.large", 2, 2048),
    InstanceType("ecs.c6.large", 2, 4096),
    InstanceType("ecs.g6.large", 2, 8192),
    InstanceType("ecs.g6.xlarge", 4, 16384),
    InstanceType("ecs.g7.large", 2, 8192),
    InstanceType("ecs.c8y.small", 1, 2048, "arm64"),
    InstanceType("ecs.g8y.small", 1, 4096, "arm64"),
)


@dataclass(frozen=True)
class DiskCategory:
    """A category of cloud disk with its sizes in GiB. All categories are the same bytes here; limits are ECS's."""

    id: str
    least_gib: int
    most_gib: int
    default_gib: int


#: Sources: create-image.seed.txt (DiskDeviceMapping.N.Size), ecs-api.md 5.3 and 10 (CreateDisk).
DISK_CATEGORIES = {
    c.id: c
    for c in (
        DiskCategory("cloud", 5, 2000, 5),
        DiskCategory("cloud_efficiency", 20, 32768, 20),
        DiskCategory("cloud_ssd", 20, 32768, 20),
        DiskCategory("cloud_essd", 1, 65536, 20),
        DiskCategory("cloud_auto", 1, 65536, 20),
        DiskCategory("cloud_essd_entry", 10, 32768, 20),
    )
}

DEFAULT_CATEGORY = "cloud_efficiency"

#: The least GiB of a ``cloud_essd`` disk of each performance level. Source: ecs-api.md 10, CreateDisk, Size.
PERFORMANCE_LEVELS = {"PL0": 1, "PL1": 20, "PL2": 461, "PL3": 1261}


def level_of(category: str, asked: str | None) -> str:
    """The performance level of a disk: PL1 where none was asked for, and none of a category that has none."""
    return (asked or "PL1") if category == "cloud_essd" else ""


@dataclass(frozen=True)
class Quotas:
    """Limits of one account in one region. ECS publishes no numbers (ecs-api.md 15); these are ours."""

    images: int = 100_000
    snapshots: int = 100_000
    images_per_family: int = 10_000
    families: int = 10_000
    disks_per_instance: int = 17
    tags_per_resource: int = 20
    key_pairs: int = 500  #: As ECS documents it.
    commands: int = 500  #: CreateCommand: "500 to 50,000" (docs/sources.md).
    snapshot_policies: int = 100  #: CreateAutoSnapshotPolicy: "up to 100" (docs/sources.md).
    security_groups: int = 1000
    vpcs: int = 100
    vswitches_per_vpc: int = 150  #: CreateVSwitch: "at most 150" (docs/sources.md).
    eips: int = 200
    resource_groups: int = 30  #: Of an account, in all regions; CreateResourceGroup: "a maximum of 30".
    launch_templates: int = 30  #: CreateLaunchTemplate: "up to 30 launch templates in each region" (docs/sources.md).
    webhooks: int = 5  #: Of an account, in all regions.
    versions_per_template: int = 30  #: CreateLaunchTemplate: "up to 30 versions".


#: Of this host's loopback, so that nobody has to be asked for them.
PUBLIC_NETWORK = "127.64.0.0/10"


@dataclass(frozen=True)
class Deployment:
    """See the module's docstring."""

    regions: tuple[str, ...] = ("cn-qingdao-env17-d01",)
    endpoint: str = "127.0.0.1:8787"
    instance_types: tuple[InstanceType, ...] = INSTANCE_TYPES
    quotas: Quotas = field(default_factory=Quotas)
    #: Addresses at which guests are reached, public and elastic ones; each leads to one instance of the deployment.
    public_network: str = PUBLIC_NETWORK
    resource_groups: tuple[str, ...] = ()  #: IDs of those that every account has; those of one account are rows.

    def zones(self, region: str) -> tuple[str, ...]:
        """The zones of a region."""
        return zones_of(region)

    def instance_type(self, name: str) -> InstanceType | None:
        """The instance type of that ID, or None."""
        return next((t for t in self.instance_types if t.id == name), None)
