"""List the instance types of this deployment, in the order in which it has them.

All filters that are sent must hold. A filter for the least or the most of
something compares with the field of that name in the answer; what an instance
here has none of counts as 0.
"""

from __future__ import annotations

import re
from dataclasses import fields
from typing import Annotated

from kiln.calls.call import Call
from kiln.declare.deployment import InstanceType
from kiln.declare.errors import InvalidParameter
from kiln.declare.operation import Operation
from kiln.declare.rules import Count, Doc, Example, Wire
from kiln.declare.shapes import shape
from kiln.operations import accepted
from kiln.operations.paging import open_position, seal_position
from kiln.operations.params import NextToken

_DEFAULT_SIZE = 100
_MOST = 1600  #: What older clients ask for at once; ecs-api.md 12, MaxResults.

#: kbit/s and packets/s. Nothing limits them but the host; these let a filter for an ordinary speed pass.
_BANDWIDTH = 1_000_000
_PACKETS = 100_000

_FAMILY = re.compile(r"ecs\.([a-z]+)[0-9]*[a-z]*")
_CATEGORIES = {"c": "Compute-optimized", "g": "General-purpose", "r": "Memory-optimized"}

_LEAST = Doc("Only types that have at least as much.")
_NOT_HERE = Doc("Only types that have such a thing; there is none here.")


@shape
class Input:
    instance_types: Annotated[
        tuple[str, ...] | None, Count(10), Example("ecs.t5-lc1m1.small"), Doc("Only these types, up to 10.")
    ] = None
    instance_type_family: Annotated[str | None, Example("ecs.t5"), Doc("Only types of this family.")] = None
    instance_type_families: Annotated[tuple[str, ...] | None, Count(10), Doc("Only types of these families.")] = None
    instance_category: Annotated[str | None, Example("General-purpose"), Doc("Only types of this category.")] = None
    instance_categories: Annotated[tuple[str, ...] | None, Count(10), Doc("Only types of these categories.")] = None
    instance_family_level: Annotated[str | None, Example("EntryLevel"), Doc("Only types of this level.")] = None
    cpu_architecture: Annotated[str | None, Example("X86"), Doc("X86 or ARM.")] = None
    cpu_architectures: Annotated[tuple[str, ...] | None, Count(2), Doc("X86, ARM or both.")] = None
    nvme_support: Annotated[str | None, Example("unsupported"), Doc("required, supported or unsupported.")] = None
    minimum_cpu_core_count: Annotated[int | None, Example("2"), _LEAST] = None
    maximum_cpu_core_count: Annotated[int | None, Example("4"), Doc("Only types with at most so many vCPUs.")] = None
    minimum_memory_size: Annotated[float | None, Example("1.0"), Doc("GiB. Only types that have at least as much.")] = (
        None
    )
    maximum_memory_size: Annotated[float | None, Example("8.0"), Doc("GiB. Only types that have at most as much.")] = (
        None
    )
    minimum_cpu_speed_frequency: Annotated[float | None, _LEAST] = None
    maximum_cpu_speed_frequency: Annotated[float | None, Doc("Only types with at most as much.")] = None
    minimum_cpu_turbo_frequency: Annotated[float | None, _LEAST] = None
    maximum_cpu_turbo_frequency: Annotated[float | None, Doc("Only types with at most as much.")] = None
    minimum_disk_quantity: Annotated[int | None, _LEAST] = None
    minimum_eni_quantity: Annotated[int | None, _LEAST] = None
    minimum_eni_private_ip_address_quantity: Annotated[int | None, _LEAST] = None
    minimum_eni_ipv6_address_quantity: Annotated[int | None, _LEAST] = None
    minimum_eri_quantity: Annotated[int | None, _LEAST] = None
    minimum_primary_eni_queue_number: Annotated[int | None, _LEAST] = None
    minimum_secondary_eni_queue_number: Annotated[int | None, _LEAST] = None
    minimum_queue_pair_number: Annotated[int | None, _LEAST] = None
    minimum_instance_bandwidth_rx: Annotated[int | None, _LEAST] = None
    minimum_instance_bandwidth_tx: Annotated[int | None, _LEAST] = None
    minimum_instance_pps_rx: Annotated[int | None, _LEAST] = None
    minimum_instance_pps_tx: Annotated[int | None, _LEAST] = None
    minimum_baseline_credit: Annotated[int | None, _LEAST] = None
    minimum_initial_credit: Annotated[int | None, _LEAST] = None
    minimum_gpu_amount: Annotated[int | None, Wire("MinimumGPUAmount"), _LEAST] = None
    maximum_gpu_amount: Annotated[int | None, Wire("MaximumGPUAmount"), Doc("Only types with at most so many.")] = None
    minimum_local_storage_amount: Annotated[int | None, _LEAST] = None
    minimum_local_storage_capacity: Annotated[int | None, _LEAST] = None
    gpu_spec: Annotated[str | None, Wire("GPUSpec"), _NOT_HERE] = None
    gpu_specs: Annotated[tuple[str, ...] | None, Count(10), _NOT_HERE] = None
    local_storage_category: Annotated[str | None, _NOT_HERE] = None
    local_storage_categories: Annotated[tuple[str, ...] | None, Count(10), _NOT_HERE] = None
    physical_processor_model: Annotated[str | None, _NOT_HERE] = None
    physical_processor_models: Annotated[tuple[str, ...] | None, Count(10), _NOT_HERE] = None
    additional_attributes: Annotated[tuple[str, ...], accepted.WHOLE_ANSWER, Doc("What to add to the answer.")] = ()
    max_results: Annotated[int | None, Example("100"), Doc("Types an answer, 100 when not given.")] = None
    next_token: NextToken | None = None


@shape
class BootModesOutput:
    """Boot modes."""

    supported_boot_mode: Annotated[tuple[str, ...], Doc("BIOS and UEFI, or UEFI alone.")]


@shape
class InstanceTypeOutput:
    """One instance type."""

    instance_type_id: Annotated[str, Example("ecs.t5-lc1m1.small"), Doc("The type.")]
    instance_type_family: Annotated[str, Example("ecs.t5"), Doc("Its family.")]
    instance_category: Annotated[str, Doc("Compute-optimized, General-purpose, Memory-optimized or Shared.")]
    instance_family_level: Annotated[str, Doc("EnterpriseLevel, EntryLevel or CreditEntryLevel.")]
    cpu_core_count: Annotated[int, Doc("vCPUs.")]
    cpu_architecture: Annotated[str, Doc("X86 or ARM.")]
    memory_size: Annotated[float, Doc("GiB.")]
    disk_quantity: Annotated[int, Doc("Disks that an instance can have.")]
    supported_boot_modes: Annotated[BootModesOutput, Doc("How it boots.")]
    nvme_support: Annotated[str, Doc("Always unsupported: disks are virtio.")] = "unsupported"
    cpu_speed_frequency: Annotated[float, Doc("Always 0: the host's.")] = 0.0
    cpu_turbo_frequency: Annotated[float, Doc("Always 0: the host's.")] = 0.0
    physical_processor_model: Annotated[str, Doc("Always empty: the host's.")] = ""
    eni_quantity: Annotated[int, Doc("Always 1.")] = 1
    eni_total_quantity: Annotated[int, Doc("Always 1.")] = 1
    eni_private_ip_address_quantity: Annotated[int, Doc("Always 1.")] = 1
    eni_ipv6_address_quantity: Annotated[int, Doc("Always 0.")] = 0
    eni_trunk_supported: Annotated[bool, Doc("Always false.")] = False
    eri_quantity: Annotated[int, Doc("Always 0.")] = 0
    primary_eni_queue_number: Annotated[int, Doc("Always 1.")] = 1
    secondary_eni_queue_number: Annotated[int, Doc("Always 0.")] = 0
    maximum_queue_number_per_eni: Annotated[int, Doc("Always 1.")] = 1
    total_eni_queue_quantity: Annotated[int, Doc("Always 1.")] = 1
    queue_pair_number: Annotated[int, Doc("Always 0.")] = 0
    network_card_quantity: Annotated[int, Doc("Always 1.")] = 1
    network_encryption_support: Annotated[bool, Doc("Always false.")] = False
    jumbo_frame_support: Annotated[bool, Doc("Always false.")] = False
    instance_bandwidth_rx: Annotated[int, Doc("kbit/s; not really limited.")] = _BANDWIDTH
    instance_bandwidth_tx: Annotated[int, Doc("kbit/s; not really limited.")] = _BANDWIDTH
    instance_pps_rx: Annotated[int, Doc("Packets a second; not really limited.")] = _PACKETS
    instance_pps_tx: Annotated[int, Doc("Packets a second; not really limited.")] = _PACKETS
    baseline_credit: Annotated[int, Doc("Always 0.")] = 0
    initial_credit: Annotated[int, Doc("Always 0.")] = 0
    gpu_amount: Annotated[int, Wire("GPUAmount"), Doc("Always 0.")] = 0
    gpu_memory_size: Annotated[float, Wire("GPUMemorySize"), Doc("Always 0.")] = 0.0
    gpu_spec: Annotated[str, Wire("GPUSpec"), Doc("Always empty.")] = ""
    local_storage_amount: Annotated[int, Doc("Always 0.")] = 0
    local_storage_capacity: Annotated[int, Doc("Always 0.")] = 0
    local_storage_category: Annotated[str, Doc("Always empty.")] = ""


@shape
class InstanceTypesOutput:
    """Instance types."""

    instance_type: Annotated[tuple[InstanceTypeOutput, ...], Doc("The types.")]


@shape
class Output:
    instance_types: Annotated[InstanceTypesOutput, Doc("The types of this page.")]
    next_token: Annotated[str, Doc("To be sent for the next page; empty on the last one.")]


#: Filters for one of several words, and the field of the answer with which they compare.
_ONE_OF = (
    ("instance_types", "instance_type_id"),
    ("instance_type_families", "instance_type_family"),
    ("instance_categories", "instance_category"),
    ("cpu_architectures", "cpu_architecture"),
    ("gpu_specs", "gpu_spec"),
    ("local_storage_categories", "local_storage_category"),
    ("physical_processor_models", "physical_processor_model"),
)
_EQUAL = (
    "instance_type_family",
    "instance_category",
    "instance_family_level",
    "cpu_architecture",
    "nvme_support",
    "gpu_spec",
    "local_storage_category",
    "physical_processor_model",
)
_BOUNDS = tuple(f.name for f in fields(Input) if f.name.startswith(("minimum_", "maximum_")))


def check(call: Call, p: Input) -> Output:
    described = (_describe(call, one) for one in call.deployment.instance_types)
    fitting = [one for one in described if _fits(one, p)]
    start = _start(call, p, fitting) if p.next_token else 0
    size = _DEFAULT_SIZE if p.max_results is None else min(max(p.max_results, 1), _MOST)
    shown = fitting[start : start + size]
    is_last = start + size >= len(fitting)
    return Output(
        instance_types=InstanceTypesOutput(instance_type=tuple(shown)),
        next_token="" if is_last else seal_position(call, p, [shown[-1].instance_type_id]),
    )


def _fits(one: InstanceTypeOutput, p: Input) -> bool:
    for name in _EQUAL:
        wanted = getattr(p, name)
        if wanted is not None and wanted.lower() != getattr(one, name).lower():
            return False
    for name, compared in _ONE_OF:
        words = getattr(p, name)
        if words is not None and getattr(one, compared).lower() not in (word.lower() for word in words):
            return False
    return all(_is_within(one, name, getattr(p, name)) for name in _BOUNDS)


def _is_within(one: InstanceTypeOutput, bound: str, wanted: float | None) -> bool:
    if wanted is None:
        return True
    kind, _, name = bound.partition("_")
    value: float = getattr(one, name)
    return value >= wanted if kind == "minimum" else value <= wanted


def _start(call: Call, p: Input, fitting: list[InstanceTypeOutput]) -> int:
    position = open_position(call, p, p.next_token or "", [str])
    found = [n for n, one in enumerate(fitting, 1) if (one.instance_type_id,) == position]
    if not found:
        raise InvalidParameter(
            parameter="NextToken", rule="must be the NextToken of the answer before, to the same query"
        )
    return found[0]


def _describe(call: Call, one: InstanceType) -> InstanceTypeOutput:
    is_arm = one.architecture == "arm64"
    match = _FAMILY.match(one.family)
    letters = match[1] if match else ""
    return InstanceTypeOutput(
        instance_type_id=one.id,
        instance_type_family=one.family,
        instance_category=_CATEGORIES.get(letters, "Shared"),
        instance_family_level=_level(letters),
        cpu_core_count=one.cpus,
        cpu_architecture="ARM" if is_arm else "X86",
        memory_size=one.memory_mib / 1024,
        disk_quantity=call.deployment.quotas.disks_per_instance,
        supported_boot_modes=BootModesOutput(supported_boot_mode=("UEFI",) if is_arm else ("BIOS", "UEFI")),
    )


def _level(letters: str) -> str:
    if letters in _CATEGORIES:
        return "EnterpriseLevel"
    return "CreditEntryLevel" if letters == "t" else "EntryLevel"


describe_instance_types = Operation(input=Input, output=Output, check=check)
