"""Writes reference pages: Markdown from declarations. Each function returns one whole page.

Knows how declarations read as prose and tables; where pages go is tools/docs.py's business.
"""

from __future__ import annotations

import ast
import inspect
import json
import shlex
from collections import Counter
from collections.abc import Container, Iterable, Iterator, Mapping
from enum import StrEnum
from types import ModuleType
from typing import Any, NamedTuple

from kiln.cli.exits import Exit
from kiln.client.catalogue import Action, Catalogue, Fault, Part
from kiln.ground.meters import MOST_SERIES, OTHER, Metric
from kiln.service.settings import Described
from kiln.wire.oss.errors import OssError
from kiln.wire.oss.operations import OssOperation
from kiln.wire.paths.table import Path as ServedPath

#: What is true of every page here.
MARK = "<!-- Written by tools/docs.py. Change the declaration, not this page. -->"

#: Account selectors that every action takes and that have no effect; one sentence serves better than four rows.
EVERYWHERE = ("OwnerId", "OwnerAccount", "ResourceOwnerId", "ResourceOwnerAccount")

GROUPS = {
    "images": "Images",
    "tasks": "Tasks",
    "snapshots": "Snapshots",
    "disks": "Disks",
    "instances": "Instances",
    "launch_templates": "Launch templates",
    "assistant": "Cloud Assistant",
    "terminals": "Terminal sessions",
    "key_pairs": "Key pairs",
    "vpcs": "VPCs",
    "vswitches": "VSwitches",
    "eips": "Elastic addresses",
    "security_groups": "Security groups",
    "network_interfaces": "Network interfaces",
    "regions": "Regions, zones and types",
    "tags": "Tags",
    "endpoints": "Endpoints",
    "identities": "Who calls",
    "resources": "Resources of any sort",
    "resource_groups": "Resource groups",
    "webhooks": "Webhooks",
    "audit": "Who changed what",
}


def file_of(title: str) -> str:
    """The name of the page of the action that is titled so."""
    return f"{title.replace(':', '.')}.md"


def operation(title: str, action: Action, sample: Mapping[str, Any]) -> str:
    """The page of one action, with one request of it and what was answered."""
    return _page(
        title,
        action.summary,
        action.doc,
        _facts(action),
        "## Request",
        _request(title, action, sample["request"]),
        _table(("Name", "Type", "Required", "Rule", "Description"), _parameters(action)),
        f"{_code_list(EVERYWHERE)} are accepted and have no effect: the signature says who calls.",
        "## Answer",
        "To the request above:",
        _fenced(json.dumps(sample["answer"], indent=2, ensure_ascii=False), "json"),
        _table(("Name", "Type", "Description"), _answer(action)),
        "## Errors",
        f"Beside these, any action can answer with the [errors of the gateway](../errors.md#{_GATEWAY_ANCHOR}).",
        _table(("HTTP", "Code", "Message", "When"), (_error_row(fault) for fault in action.faults)),
    )


#: What is the same for every list and object of every action.
_SPELLINGS = (
    "A list is numbered from 1 and an object has its parts after a dot, as the pages show: `Tag.1.Key=use`, "
    '`SystemDisk.Size=40`, `InstanceId.1=i-1`. Lists that are one text hold a JSON array (`InstanceIds=["i-1"]`) or '
    "words between commas (`Status=Creating,Available`). Through every door the same may be said otherwise: any list "
    'or object as the text of a JSON array or object (`Tag=[{"Key":"use"}]`, `Tag.1={"Key":"use"}`), any list '
    "numbered (`InstanceIds.1=i-1`), and in a JSON body as what it is. Two spellings of one thing must say the same."
)
_MISSPELLINGS = (
    "Whatever else touches the name of a parameter is refused with the spelling that would be right, and nothing is "
    "done: `Tag[0].Key`, `tag.1.Key`, `Tag.1.KEY`, `Tag.1.NoSuchPart`, `Tags`, `TagKey`, `ImageId.1` where ImageId is "
    "one value. Names that are nobody's are ignored, because clients send such. A parameter with an empty value, and "
    "a member of a JSON body that is null, count as not sent."
)
_EMPTY_LISTS = (
    "An empty list (`[]`, or one whose elements are all empty) is not the same as none: as a filter it lets nothing "
    "pass."
)
SPELLING = ("## How parameters are spelled", _SPELLINGS, _MISSPELLINGS, _EMPTY_LISTS)


def operations(catalogue: Catalogue) -> str:
    """The table of contents of the actions."""
    sections: list[str] = []
    actions = {title: catalogue.action(title) for title in catalogue.names}
    for group in dict.fromkeys(action.group for action in actions.values()):
        rows = ((f"[{title}]({file_of(title)})", it.summary) for title, it in actions.items() if it.group == group)
        sections += [f"## {GROUPS.get(group, group.capitalize())}", _table(("Action", "What it does"), rows)]
    return _page(
        "Operations",
        f"The {len(actions)} actions that are served: {_products(catalogue)}.",
        *SPELLING,
        *sections,
    )


_GATEWAY_ANCHOR = "any-action"


def _products(catalogue: Catalogue) -> str:
    """How many actions there are of each product, in words."""
    count = Counter((action.product, action.version) for action in map(catalogue.action, catalogue.names))
    return ", ".join(f"{many} of {name} {version}" for (name, version), many in count.items())


def errors(catalogue: Catalogue) -> str:
    """Every code, with who answers it and what to do."""
    met: dict[Fault, list[str]] = {}
    for name in catalogue.names:
        for fault in catalogue.action(name).faults:
            met.setdefault(fault, []).append(name)
    gateway, later = set(catalogue.gateway), catalogue.later
    own = sorted((fault for fault in met if fault not in gateway), key=lambda fault: (fault.code, fault.status))
    return _page(
        "Errors",
        "An error is answered with its HTTP status, and with `Code`, `Message`, `RequestId` and `HostId` in the body. "
        "What stands in braces is filled in.",
        "## Any action",
        "Of the gateway, before an action is asked, and of the service as a whole.",
        _table(
            ("HTTP", "Code", "Message", "When, and what to do"),
            (_error_row(fault, with_hint=True) for fault in catalogue.gateway),
        ),
        "## Some actions",
        _table(
            ("HTTP", "Code", "Message", "When, and what to do", "Actions"),
            ((*_error_row(fault, with_hint=True), _links(met[fault])) for fault in own),
        ),
        "## What was begun",
        "What was answered with success may fail later, with an error of its action or with one of these. Images, "
        "DescribeTaskAttribute and DescribeReasons tell it; `kiln wait`, the `show` of each word and the console say "
        "what to do, too.",
        _table(
            ("Code", "Message", "When, and what to do"),
            (_error_row(fault, with_hint=True)[1:] for fault in later),
        ),
    )


def paths(declared: Iterable[ServedPath[Any]]) -> str:
    """Every path of the server."""
    parts = []
    for path in declared:
        takes = " and ".join(f"`{method}`" for method in path.methods)
        parts += [
            f"## `{path.at}`",
            f"Takes {takes}; anything else is answered with 405." if path.methods else "",
            path.about,
        ]
    return _page(
        "Paths",
        "What a server answers, and where. A request is bounded in the same way on each of these paths: "
        "see [what is refused before anybody is known](../internals/http.md).",
        *filter(None, parts),
    )


def metrics(declared: Iterable[Metric]) -> str:
    """Every metric."""
    rows = []
    for metric in declared:
        labels = ". ".join(f"`{name}`: {about}" for name, about in metric.labels.items())
        rows.append((f"`{metric.name}`", metric.kind, metric.about, labels))
    return _page(
        "Metrics",
        "What `GET /metrics` tells. [Watch a Kiln](../howto/watch.md) says how it is read, and by whom; the setting "
        "`KILN_METRICS` who may. Beside these there is what Prometheus's client tells of every process on Linux: "
        "`process_cpu_seconds_total`, `process_resident_memory_bytes`, `process_virtual_memory_bytes`, "
        "`process_start_time_seconds`, `process_open_fds` and `process_max_fds`.",
        _table(("Name", "Kind", "Tells", "Labels"), rows),
        f"A metric has at most {MOST_SERIES:,} combinations of labels, and counts whatever is more under `{OTHER}`.",
    )


def oss(operations: Iterable[OssOperation], errors: Iterable[type[OssError]]) -> str:
    """What is served of OSS, and how it refuses."""
    rows = []
    for it in operations:
        path = {"service": "/", "bucket": "/BUCKET", "object": "/BUCKET/OBJECT"}[it.on]
        asked = f"{it.method} {path}{'?' if it.by else ''}{'&'.join(it.by)}"
        whom = "readers" if it.is_read else "owner"
        rows.append((it.name, f"`{asked}`", _codes(it.params), _codes(it.headers), whom))
    known = sorted(errors, key=lambda one: (one.status, one.__name__))
    return _page(
        "OSS",
        "What is served of OSS's API, by its own signatures of versions 1 and 4, in the header or in a presigned URL. "
        "[How to use it](../howto/oss.md) says how clients are told of it. Other operations, parameters and `x-oss-` "
        "headers are refused: with `NotImplemented` those that OSS has, with `InvalidArgument` those that it has not.",
        "## Operations",
        "The bucket may be in the path, as here, or in the host. *Readers* are the bucket's account and, where it is "
        "[shared](../howto/import-and-export.md#whose-a-bucket-is), every account. `Content-MD5` is compared where it "
        "is sent, `Range` and the `If-` headers are heeded. `x-oss-acl`, `x-oss-object-acl` and "
        "`x-oss-storage-class` may say what is so anyway.",
        _table(("Operation", "Request", "Parameters", "Headers", "For"), rows),
        "## Errors",
        "XML with `Code`, `Message`, `RequestId` and `HostId`; of a HEAD it is in the header `x-oss-err`, in base64.",
        _table(
            ("HTTP", "Code", "When"),
            ((str(one.status), f"`{getattr(one, 'code', '')}`", _first_line(one)) for one in known),
        ),
    )


def _codes(names: Iterable[str]) -> str:
    return ", ".join(f"`{name}`" for name in names)


def _first_line(declared: type) -> str:
    return (declared.__doc__ or "").strip().partition("\n")[0]


def settings(known: Iterable[Described], flags: Container[str]) -> str:
    """Every setting of the service; *flags* are those that some word takes."""
    rows = []
    for it in known:
        flag = f"`--{it.name.replace('_', '-')}`" if it.name in flags else ""
        rows.append((f"`KILN_{it.name.upper()}`", flag, f"`{it.default}`" if it.default else "", it.doc))
    return _page(
        "Settings",
        "A setting is a flag of the words that it concerns, or a variable of the environment; the flag wins.",
        _table(("Variable", "Flag", "Default", "Meaning"), rows),
    )


#: What is true of the words of the command line, in the reference and in manual pages.
ANSWERS = "Answers go to standard output, all else to standard error. `kiln WORD --help` shows what stands here."
WHO_ASKS = (
    "`KILN_ENDPOINT`, `KILN_ACCESS_KEY_ID`, `KILN_ACCESS_KEY_SECRET` and `KILN_REGION` say where it is and who "
    "asks; `ALIBABA_CLOUD_ACCESS_KEY_ID`, `ALIBABA_CLOUD_ACCESS_KEY_SECRET` and `ALIBABA_CLOUD_REGION_ID` serve "
    'where those are not set. `eval "$(kiln env)"` sets all of them.'
)


def cli(words: Mapping[str, Any], exits: Iterable[Exit]) -> str:
    """The command line: *words* are commands by the words that lead to them."""
    return _page(
        "Command line",
        ANSWERS,
        "## Settings of the words that ask a service",
        WHO_ASKS,
        "## Exit codes",
        _table(("Code", "Meaning"), ((str(code.number), code.meaning) for code in exits)),
        *(block for name, command in words.items() for block in _word(name, command)),
    )


def states(module: ModuleType) -> str:
    """The states of everything that has states, with their moves drawn."""
    comments = _member_comments(module)
    sections: list[str] = []
    for kind, moves in module.MOVES.items():
        sections += [
            f"## {kind.__name__.removesuffix('Status')}",
            _diagram(moves),
            _table(("State", "Meaning"), ((f"`{m.value}`", comments[f"{kind.__name__}.{m.name}"]) for m in kind)),
        ]
    return _page(
        "States",
        "A move that is not drawn cannot happen: it is made by a statement that names the state before, and asks the "
        "table that these drawings come from.",
        *sections,
    )


def _page(title: str, *blocks: str) -> str:
    return "\n\n".join([f"# {title}", MARK, *(block for block in blocks if block)]) + "\n"


def _facts(action: Action) -> str:
    lines = ["- Changes nothing."] if action.is_read else []
    if action.also_in:
        lines.append(f"- An action of {action.product}; called with the version of {' or '.join(action.also_in)}, too.")
    if action.leads_to:
        now, *ends = (f"`{state}`" for state in action.leads_to)
        lines.append(f"- Answers at once; the state is {now} now and {' or '.join(ends)} when the work is done.")
    if action.is_idempotent:
        lines.append(
            "- Idempotent with a `ClientToken`: sent again with the same parameters, it gives the same answer."
        )
    if action.dry_run:
        lines.append(f"- With `DryRun=true` it only checks, and says `{action.dry_run}` when all is well.")
    return "\n".join(lines)


def _request(title: str, action: Action, sample: Mapping[str, Any]) -> str:
    """How it is asked; the region is known."""
    pairs = [f"{name}={_text(value)}" for name, value in sample.items() if name != "RegionId"]
    words = f"kiln call {title} {' '.join(map(shlex.quote, pairs))}".strip()
    route = f"`POST /apsara/route/{action.product}/{action.name}`, or `{action.name}` at `/` as the SDKs call it:"
    return f"{route}\n\n" + _fenced(words, "sh")


def _text(value: Any) -> str:
    return str(value).lower() if isinstance(value, bool) else str(value)


def _parameters(action: Action) -> Iterator[tuple[str, ...]]:
    for part in action.request.parts:
        if part.name not in EVERYWHERE:
            yield from _parameter(part, "")


def _parameter(part: Part, under: str) -> Iterator[tuple[str, ...]]:
    name = under + part.name + (".N" if part.is_repeated and not part.packed else "")
    rules = list(part.rules)
    if part.count is not None:
        rules.append(f"at most {part.count} of them")
    if part.packed:
        rules.append("one string: " + ("a JSON array" if part.packed == "json" else "separated by commas"))
    if part.default:
        rules.append(f"default `{part.default}`")
    doc = part.doc
    if part.no_effect:
        doc += f" *No effect: {part.no_effect}*"
    if part.aliases and not part.parts:
        doc += f" Also spelled {_code_list(part.aliases)}."
    if part.example:
        doc += f" Example: `{part.example}`."
    yield f"`{name}`", part.type, "yes" if part.is_required else "", "; ".join(rules), doc.strip()
    for inner in part.parts:
        yield from _parameter(inner, name + ".")


def _answer(action: Action) -> Iterator[tuple[str, ...]]:
    for part in action.answer.parts:
        yield from _field(part, "")
    yield "`RequestId`", "string", "The ID of the request, for the log."


def _field(part: Part, under: str) -> Iterator[tuple[str, ...]]:
    name = under + part.name + ("[]" if part.is_repeated else "")
    yield f"`{name}`", part.type, part.doc
    for inner in part.parts:
        yield from _field(inner, name + ".")


def _error_row(fault: Fault, *, with_hint: bool = False) -> tuple[str, ...]:
    when = f"{fault.when} {fault.hint}".strip() if with_hint else fault.when
    return str(fault.status), f"`{fault.code}`", fault.message, when


def _links(names: Iterable[str]) -> str:
    return ", ".join(f"[{name}](operations/{file_of(name)})" for name in names)


class Flag(NamedTuple):
    """An option or an argument of a command, as it is explained."""

    spellings: tuple[str, ...]  #: Of an option: ``--wait`` and ``--no-wait``. None of an argument.
    value: str  #: The name of what it takes, or nothing.
    meaning: str


def flags(command: Any) -> list[Flag]:
    """What may be said after the words of a command, in its order."""
    return [_flag(parameter) for parameter in command.params if not getattr(parameter, "hidden", False)]


def prose(command: Any) -> str:
    """What a command says of itself, in paragraphs."""
    return inspect.cleandoc(command.help or "").replace("\b\n", "")


def shown(command: Any) -> str:
    """The lines of a shell that a command shows, or nothing."""
    return inspect.cleandoc((command.epilog or "").partition("Example:\n")[2])


def _word(name: str, command: Any) -> Iterator[str]:
    yield f"## kiln {name}"
    yield prose(command)
    if command.epilog:
        yield _fenced(shown(command), "sh")
    rows = []
    for flag in flags(command):
        spelled = f"`{', '.join(flag.spellings)}` " if flag.spellings else ""
        rows.append((f"{spelled}{flag.value and f'`{flag.value}`'}".strip(), flag.meaning))
    if rows:
        yield _table(("Option", "Meaning"), rows)


def _flag(parameter: Any) -> Flag:
    metavar = parameter.metavar or parameter.name.upper()
    if parameter.param_type_name == "argument":
        return Flag((), metavar, parameter.help)
    default = "" if parameter.default in (None, False, True, "") else f" Default: `{_number(parameter.default)}`."
    if parameter.secondary_opts and parameter.default is not None:
        default = f" Default: `{(parameter.opts if parameter.default else parameter.secondary_opts)[0]}`."
    value = "" if parameter.is_flag else metavar
    return Flag((*parameter.opts, *parameter.secondary_opts), value, parameter.help + default)


def _number(value: Any) -> str:
    return f"{value:g}" if isinstance(value, float) else str(value)


def _member_comments(module: ModuleType) -> dict[str, str]:
    """The ``#:`` comments of enum members, by ``Kind.MEMBER``."""
    source = inspect.getsource(module)
    lines = source.splitlines()
    found = {}
    for node in ast.parse(source).body:
        if isinstance(node, ast.ClassDef):
            for member in node.body:
                if isinstance(member, ast.Assign) and isinstance(member.targets[0], ast.Name):
                    comment = lines[member.lineno - 1].partition("#:")[2].strip()
                    found[f"{node.name}.{member.targets[0].id}"] = comment
    return found


def _diagram(moves: Mapping[StrEnum, Iterable[StrEnum]]) -> str:
    arrows = [f"    {before.value} --> {after.value}" for before, afters in moves.items() for after in afters]
    return _fenced("\n".join(["stateDiagram-v2", f"    [*] --> {next(iter(moves)).value}", *arrows]), "mermaid")


def _fenced(text: str, language: str) -> str:
    return f"```{language}\n{text}\n```"


def _code_list(names: Iterable[str]) -> str:
    *most, last = (f"`{name}`" for name in names)
    return f"{', '.join(most)} and {last}" if most else last


def _table(titles: Iterable[str], rows: Iterable[Iterable[str]]) -> str:
    titles = list(titles)
    lines = [[_cell(text) for text in row] for row in rows]
    if not lines:
        return "None."
    return "\n".join(f"| {' | '.join(line)} |" for line in [titles, ["---"] * len(titles), *lines])


def _cell(text: str) -> str:
    return " ".join(text.split()).replace("|", "\\|").replace("<", "&lt;")
