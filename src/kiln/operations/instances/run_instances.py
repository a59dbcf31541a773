"""Create one to a hundred instances of an image, with their disks, and start them.

The IDs are answered at once. Each instance is Pending while its disks are made,
then Starting, then Running; no bytes are copied. The image's data disks come
with it, besides those that DataDisk adds. An instance whose disks cannot be
made (the pool is full) goes away again; one that does not start stays, Stopped.

With a launch template the request need not say what the template says. What it
does say wins: a value or a list in place of the template's, and of SystemDisk
each part by itself. The whole is checked as if all of it had been sent.

With InternetMaxBandwidthOut above 0 each instance has a public address: one of
this host, at which the guest's SSH port answers.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Annotated

from kiln.calls.call import Call, Job
from kiln.declare.errors import ApiError, InvalidParameter, MissingParameter
from kiln.declare.operation import Operation
from kiln.declare.rules import Doc, Example
from kiln.declare.shapes import essence, params_of, shape
from kiln.declare.states import InstanceStatus
from kiln.ground.clock import from_text
from kiln.ground.units import DAY_S
from kiln.ground.values import dataclass
from kiln.operations.errors.launch_templates import InvalidLaunchTemplateVersionNotFound
from kiln.operations.errors.launches import IDEMPOTENT, OperationDeniedNoStock
from kiln.operations.errors.snapshots import ParameterInvalidSnapshotPolicy
from kiln.operations.instances.parts import launch, power
from kiln.operations.instances.parts.launch import Launches, LaunchFacts, Wish
from kiln.operations.instances.parts.placement import Wanted
from kiln.operations.params import InstanceId, given, to_pairs
from kiln.operations.steps import templates
from kiln.operations.steps.run_input import InvalidMinAmountMalformed, RunInput, SystemDiskInput

#: Parameters of which one may be given: where the request says one, nothing of the template's is left of the others.
_ONE_OF = (
    ("ImageId", "ImageFamily"),
    ("SecurityGroupId", "SecurityGroupIds"),
    ("HostName", "HostNames"),
    ("Password", "PasswordInherit"),
)
_SOONEST_RELEASE, _LATEST_RELEASE = 30 * 60, 3 * 365 * DAY_S  #: Seconds from now.


class InvalidInstanceTypeValueNotSupportedOfRun(ApiError):
    """The deployment has no such instance type."""

    code = "InvalidInstanceType.ValueNotSupported"
    message = "The specified InstanceType beyond the permitted range."
    hint = "`kiln region types` lists the types."


class InvalidAutoReleaseTimeMalformed(ApiError):
    """AutoReleaseTime is no time, or too near or too far ahead."""

    code = "InvalidAutoReleaseTime.Malformed"
    message = "The specified parameter AutoReleaseTime is not valid."
    hint = "As 2026-12-24T18:00:00Z, UTC, half an hour to three years from now."


@shape
class Input(RunInput):
    """The image, the type, and what else is to be said of the instances."""

    #: Instead of what RunInput says of it: a template may say the type.
    instance_type: Annotated[
        str,
        Example("ecs.t5-lc1m1.small"),
        Doc("The size; needed, unless a launch template says it. DescribeInstanceTypes lists them."),
    ] = ""


@shape
class InstanceIdSetsOutput:
    """IDs."""

    instance_id_set: Annotated[tuple[InstanceId, ...], Doc("The IDs of the new instances.")]


@shape
class Output:
    instance_id_sets: Annotated[InstanceIdSetsOutput, Doc("The new instances.")]
    order_id: Annotated[str, Doc("Always empty: nothing is billed.")]
    trade_price: Annotated[float, Doc("Always 0: nothing is billed.")]


@dataclass(frozen=True, kw_only=True)
class Plan:
    launches: Launches
    tags: dict[str, str]


def beneath(call: Call, p: Input) -> Mapping[str, str]:
    """What the launch template says that *p* names, if any.

    Raises what templates.ERRORS lists, InvalidLaunchTemplateVersionNotFound.
    """
    number = given(p.launch_template_version)
    if (p.launch_template_id, p.launch_template_name, number) == (None, None, None):
        return {}
    template = templates.find_named(call, p.region_id, p.launch_template_id, p.launch_template_name)
    said = json.loads(templates.find_version(call, template, number or template.default_version).data)
    asked = essence(p).keys()
    for ways in _ONE_OF:
        if not asked.isdisjoint(ways):
            said = {name: part for name, part in said.items() if name not in ways}
    return params_of(RunInput, said)


def check(call: Call, p: Input) -> Plan:
    if not p.instance_type:
        raise MissingParameter(parameter="InstanceType")
    pairs = to_pairs(p.tag)
    if p.min_amount is not None and p.min_amount > p.amount:
        raise InvalidMinAmountMalformed(min_amount=p.min_amount, amount=p.amount)
    if p.security_group_id is not None and p.security_group_ids:
        raise InvalidParameter(parameter="SecurityGroupIds.N", rule="not together with SecurityGroupId")
    if p.host_names and (p.host_name is not None or len(p.host_names) > p.amount):
        raise InvalidParameter(parameter="HostNames.N", rule="at most one an instance, and not together with HostName")
    released_at = None if p.auto_release_time is None else _release_time(p.auto_release_time, call.now)
    system = p.system_disk or SystemDiskInput()
    wish = Wish(
        system=system,
        system_gib=int(system.size) if system.size else None,
        data=p.data_disk,
        count=p.amount,
        unique=p.unique_suffix,
        host_names=p.host_names,
        place=_place(p),
        with_public_ip=p.internet_max_bandwidth_out > 0,
        unknown_type=InvalidInstanceTypeValueNotSupportedOfRun,
        auto_release_at=released_at,
        isp=p.isp or "",
        login_as_non_root=bool(p.image_options and p.image_options.login_as_non_root),
    )
    return Plan(launches=launch.plan(call, p, wish), tags=pairs)


def _place(p: Input) -> Wanted:
    """What is said of the network by itself, or of the primary interface. Raises InvalidParameter."""
    groups = p.security_group_ids or ((p.security_group_id,) if p.security_group_id else ())
    if not p.network_interface:
        return Wanted(zone=p.zone_id, vswitch=p.v_switch_id, groups=groups, address=p.private_ip_address)
    card, *others = p.network_interface
    if others or card.instance_type != "Primary":
        rule = "there may be one, with InstanceType=Primary: an instance has one interface here"
        raise InvalidParameter(parameter="NetworkInterface.N", rule=rule)
    if card.security_group_id is not None and card.security_group_ids:
        raise InvalidParameter(parameter="NetworkInterface.1.SecurityGroupIds.N", rule="not with SecurityGroupId")
    if p.v_switch_id or groups or p.private_ip_address:
        rule = "not together with VSwitchId, PrivateIpAddress and security groups of the instance"
        raise InvalidParameter(parameter="NetworkInterface.1", rule=rule)
    groups = card.security_group_ids or ((card.security_group_id,) if card.security_group_id else ())
    return Wanted(zone=p.zone_id, vswitch=card.v_switch_id, groups=groups, address=card.primary_ip_address)


def _release_time(text: str, now: float) -> float:
    """The minute that was asked for. Raises InvalidAutoReleaseTimeMalformed."""
    when = from_text(text)
    if when is None or not _SOONEST_RELEASE <= when - now <= _LATEST_RELEASE:
        raise InvalidAutoReleaseTimeMalformed(auto_release_time=text)
    return when - when % 60


def commit(call: Call, plan: Plan) -> Output:
    launch.record(call, plan.launches, plan.tags, starts=True)
    ids = plan.launches.ids
    return Output(instance_id_sets=InstanceIdSetsOutput(instance_id_set=ids), order_id="", trade_price=0.0)


def carry_out(job: Job[LaunchFacts]) -> None:
    launch.make(job, InstanceStatus.STARTING)
    power.start(job)


give_up = launch.give_up

run_instances = Operation(
    input=Input,
    output=Output,
    beneath=beneath,
    check=check,
    commit=commit,
    carry_out=carry_out,
    facts=LaunchFacts,
    give_up=give_up,
    idempotent=IDEMPOTENT,
    leads_to=("Pending", "Running"),
    errors=(
        *templates.ERRORS,
        InvalidLaunchTemplateVersionNotFound,
        InvalidInstanceTypeValueNotSupportedOfRun,
        InvalidAutoReleaseTimeMalformed,
        InvalidMinAmountMalformed,
        InvalidParameter,
        *launch.ERRORS,
        ParameterInvalidSnapshotPolicy,
        OperationDeniedNoStock,
    ),
)
