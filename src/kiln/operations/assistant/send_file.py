"""Put a file into the guests of running instances, by QEMU's guest agent: no network and no account there is needed.

The ID is answered at once; DescribeSendFileResults tells how it went. The file
appears whole or not at all, in a folder that is made where it is not there.
"""

from __future__ import annotations

from typing import Annotated

from kiln.calls.call import Call, Job
from kiln.declare.errors import ApiError
from kiln.declare.operation import Operation
from kiln.declare.rules import Count, Doc, Example, OneOf, Pattern, Secret, Text, Unordered
from kiln.declare.shapes import shape
from kiln.ground.units import KiB
from kiln.ground.values import dataclass
from kiln.machines.port import Begun, Inside, SentFile
from kiln.operations.assistant.parts import contents, errand, targets
from kiln.operations.assistant.parts.errand import Errand, ErrandFacts
from kiln.operations.assistant.parts.words import BASE64, IDEMPOTENT, PLAIN, InvokeId, decoded
from kiln.operations.errors.instances import InstanceIdsExceedLimit
from kiln.operations.errors.tags import DuplicateTagKey, InvalidTagKeyMalformed, QuotaExceedTags
from kiln.operations.params import InstanceId, RegionId, ResourceGroupId, TagInput, to_pairs
from kiln.operations.steps import resource_groups
from kiln.operations.steps.resource_groups import InvalidResourceGroupNotFound
from kiln.store.instances import Instance
from kiln.store.invocations import FILE, Invocation

_MOST_CONTENT = 32 * KiB  #: In Base64.
_LEAST_TIMEOUT_S = 10  #: Less counts as that, as documented.
_MOST_INSTANCES = 50


class FileContentExceedLimit(ApiError):
    """The content has more than 32 KB in Base64."""

    code = "FileContent.ExceedLimit"
    status = 403
    message = "The length of the file content exceeds the upper limit."


class FileContentDecodeError(ApiError):
    """The content is not the Base64 that it is said to be."""

    code = "FileContent.DecodeError"
    message = "The Content can not be base64 decoded."


Owner = Annotated[
    str,
    Pattern(r"[A-Za-z0-9_][A-Za-z0-9_.@-]{0,63}", "at most 64 letters, digits and _ . @ -", "x" * 65),
    Example("root"),
]


@shape
class Input:
    region_id: RegionId
    name: Annotated[
        str,
        Pattern(r"(?!\.{1,2}$)[^/\x00-\x1f\x7f]{1,255}", "a name of at most 255 characters, without a slash", "a/b"),
        Example("app.conf"),
        Doc("The name of the file."),
    ]
    target_dir: Annotated[
        str,
        Pattern(r"/[^\x00-\x1f\x7f]{0,254}", "a path of at most 255 characters that begins with a slash", "etc"),
        Example("/etc/app"),
        Doc("The folder in the guest. It is made where it is not there."),
    ]
    content: Annotated[str, Secret(), Example("answer = 42"), Doc("The content, of at most 32 KB in Base64.")]
    instance_id: Annotated[
        tuple[InstanceId, ...],
        Unordered(),
        Count(_MOST_INSTANCES, InstanceIdsExceedLimit),
        Doc("The instances: up to 50, all of them Running."),
    ] = ()
    content_type: Annotated[
        str,
        OneOf((PLAIN, BASE64), any_case=True),
        Example(PLAIN),
        Doc("How the content is given: PlainText or Base64."),
    ] = PLAIN
    description: Annotated[str | None, Text(1, 512), Example("Settings of the app."), Doc("A description.")] = None
    file_owner: Annotated[Owner, Doc("The user in the guest whose the file is.")] = "root"
    file_group: Annotated[Owner, Doc("The group in the guest whose the file is.")] = "root"
    file_mode: Annotated[
        str,
        Pattern(r"[0-7]{3,4}", "three or four octal digits", "rw"),
        Example("0644"),
        Doc("Who may do what with it."),
    ] = "0644"
    overwrite: Annotated[bool, Doc("Whether a file of that name is replaced.")] = False
    timeout: Annotated[int, Example("60"), Doc("Seconds to wait for the guest's agent; less than 10 count as 10.")] = 60
    resource_group_id: ResourceGroupId | None = None
    tag: Annotated[tuple[TagInput, ...], Unordered(), Count(20, QuotaExceedTags), Doc("Tags of the sending.")] = ()


@shape
class Output:
    invoke_id: InvokeId


@dataclass(frozen=True, kw_only=True)
class Plan:
    invocation: Invocation
    targets: list[Instance]
    tags: dict[str, str]


def check(call: Call, p: Input) -> Plan:
    pairs = to_pairs(p.tag)
    resource_groups.check_there(call, p.resource_group_id)
    content = contents.to_kept(p.content, p.content_type, _MOST_CONTENT, FileContentDecodeError, FileContentExceedLimit)
    found = targets.find_targets(call, p.region_id, p.instance_id, most=_MOST_INSTANCES)
    invocation = targets.new_invocation(
        call,
        p.region_id,
        FILE,
        name=p.name,
        description=p.description or "",
        content=content,
        timeout_s=max(p.timeout, _LEAST_TIMEOUT_S),
        resource_group=p.resource_group_id or "",
        target_dir=p.target_dir,
        content_type=BASE64 if p.content_type.lower() == BASE64.lower() else PLAIN,
        file_owner=p.file_owner,
        file_group=p.file_group,
        file_mode=p.file_mode,
        overwrite=p.overwrite,
    )
    return Plan(invocation=invocation, targets=found, tags=pairs)


def commit(call: Call, plan: Plan) -> Output:
    targets.record(call, plan.invocation, plan.targets, plan.tags)
    return Output(invoke_id=plan.invocation.id)


def carry_out(job: Job[ErrandFacts]) -> None:
    errand.send(job, _begin)


def _begin(inside: Inside, job: Job[ErrandFacts], found: Errand) -> Begun:  # noqa: ARG001 - as others begin.
    said = found.invocation
    return inside.send(
        SentFile(
            name=said.id,
            content=decoded(said.content),
            folder=said.target_dir,
            file=said.name,
            owner=said.file_owner,
            group=said.file_group,
            mode=said.file_mode,
            overwrites=said.overwrite,
        )
    )


send_file = Operation(
    input=Input,
    output=Output,
    check=check,
    commit=commit,
    carry_out=carry_out,
    facts=ErrandFacts,
    give_up=errand.give_up,
    idempotent=IDEMPOTENT,
    errors=(
        *targets.TARGET_ERRORS,
        FileContentExceedLimit,
        FileContentDecodeError,
        InvalidResourceGroupNotFound,
        InvalidTagKeyMalformed,
        DuplicateTagKey,
    ),
)
