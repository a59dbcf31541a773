"""Rules of this house that no linter has, read from the source by its syntax."""

from __future__ import annotations

import ast
from collections.abc import Iterator, Sequence
from functools import cache
from pathlib import Path

import pytest

SOURCE = Path(__file__).resolve().parent.parent / "src"

NAMES_THAT_SAY_NOTHING = {"utils", "util", "helpers", "manager", "common", "base", "misc", "core"}

#: Packages that may start processes; everything else asks one of them.
STARTS_PROCESSES = (
    "kiln/pools/",
    "kiln/machines/",
    "kiln/networks/",
    "kiln/guest/",
    "kiln/service/",
    "kiln/cli/",
    "kiln/testing/",
)
#: Packages that may read the environment: what is below is told what it needs to know.
READS_ENVIRONMENT = ("kiln/service/", "kiln/cli/", "kiln/testing/")
#: Modules that may ask the system what time it is, and why; everything else is handed a clock.
READS_CLOCK = {
    "kiln/ground/clock.py": "it is the clock that is handed round",
}

#: Modules that may load others by their name, and why: no linter sees what these depend on.
LOADS_BY_NAME = {
    "kiln/cli/main.py": "each word is loaded when it is said, and what explains an error when there is one",
    "kiln/cli/start.py": "all that the program is made of comes when an interrupt can be heard quietly",
    "kiln/cli/imports.py": "the sample and the download bring what other imports never need",
    "kiln/cli/words/account.py": "to reset keys a whole Kiln is put together, and the other words there need none",
    "kiln/cli/words/instances.py": "the sample brings the settings, which only the words of this machine need",
    "kiln/client/client.py": "who calls actions alone does not wait for the reader of OSS's XML",
    "kiln/service/consoles.py": "what makes pages takes a quarter of a start, and most Kilns are never looked at",
    "kiln/service/authority.py": "X.509 takes as long to load as a fifteenth of a start, and few are asked for TLS",
    "kiln/testing/official.py": "the official client is no requirement of Kiln's",
}

#: Modules that may read a file however long it is, and why; everything else reads by ``kiln.ground.short_files``.
READS_WHOLE_FILES = {
    "kiln/cli/user_data.py": "the caller's own file, on the caller's machine",
    "kiln/client/catalogue.py": "a part of the program",
    "kiln/console/": "parts of the program",
    "kiln/guest/": "parts of the program, and packages that were checked by their digests",
    "kiln/machines/probe.py": "the kernel's /proc/cpuinfo",
    "kiln/machines/process.py": "the kernel's /proc",
    "kiln/machines/spawning.py": "the kernel's /proc",
    "kiln/machines/users.py": "the kernel's /proc",
    "kiln/wire/noncelog.py": "the kernel's boot_id, and nonces, which are as many as the memory takes",
}

ENVIRONMENT = {"os.environ", "os.environb", "os.getenv", "os.getenvb", "os.putenv", "os.unsetenv"}
CLOCK = {
    "time.time",
    "time.time_ns",
    "time.gmtime",
    "time.localtime",
    "datetime.datetime.now",
    "datetime.datetime.utcnow",
    "datetime.datetime.today",
    "datetime.date.today",
}


def test_every_module_says_what_it_is_for() -> None:
    silent = [name for name, tree in modules().items() if not ast.get_docstring(tree)]

    assert silent == []


def test_no_module_has_a_name_that_says_nothing() -> None:
    named = [name for name in modules() if NAMES_THAT_SAY_NOTHING & set(Path(name).with_suffix("").parts)]

    assert named == []


def test_own_modules_are_imported_at_the_top() -> None:
    late = [
        f"{name}:{node.lineno}"
        for name in modules()
        for function in nodes_of(name)
        if isinstance(function, ast.FunctionDef | ast.AsyncFunctionDef)
        for node in ast.walk(function)
        if isinstance(node, ast.Import | ast.ImportFrom) and any(m.split(".")[0] == "kiln" for m in imported(node))
    ]

    assert late == []


def test_modules_are_loaded_by_their_name_where_that_is_known() -> None:
    loaders = [name for name in modules() if "importlib.import_module" in [used for used, _ in names_of(name)]]

    assert sorted(loaders) == sorted(LOADS_BY_NAME)


def test_only_what_is_above_the_wire_reads_the_environment() -> None:
    readers = places(ENVIRONMENT, besides=READS_ENVIRONMENT)

    assert readers == []


def test_only_the_clock_knows_the_time() -> None:
    readers = places(CLOCK, besides=tuple(READS_CLOCK))

    assert readers == []


def test_whole_files_are_read_where_nobody_can_make_them_longer() -> None:
    readers = [
        f"{name}:{node.lineno}"
        for name in modules()
        if not name.startswith(tuple(READS_WHOLE_FILES))
        for node in nodes_of(name)
        if isinstance(node, ast.Attribute) and node.attr in ("read_text", "read_bytes")
    ]

    assert readers == []


def test_no_exception_for_a_whole_file_is_left_over() -> None:
    needless = [
        allowed
        for allowed in READS_WHOLE_FILES
        if not any(
            isinstance(node, ast.Attribute) and node.attr in ("read_text", "read_bytes")
            for name in modules()
            if name.startswith(allowed)
            for node in nodes_of(name)
        )
    ]

    assert needless == []


def test_no_exception_for_a_clock_is_left_over() -> None:
    needless = [name for name in READS_CLOCK if not any(used in CLOCK for used, _ in names_of(name))]

    assert needless == []


def test_processes_start_where_bytes_and_machines_are_driven() -> None:
    starters = [
        f"{name}:{node.lineno}"
        for name in modules()
        if not name.startswith(STARTS_PROCESSES)
        for node in nodes_of(name)
        if isinstance(node, ast.Import | ast.ImportFrom) and "subprocess" in imported(node)
    ]
    starters += places({"os.system", "os.popen", "os.fork", "os.posix_spawn", "os.execv"}, besides=STARTS_PROCESSES)

    assert starters == []


def test_classes_of_fields_share_their_methods() -> None:
    """The standard library's would take a quarter of a start: see ``kiln.ground.values``."""
    made_by_the_library = places({"dataclasses.dataclass"}, besides=("kiln/ground/values.py",))

    assert made_by_the_library == []


@pytest.mark.parametrize(
    ("source", "found"),
    [
        ("import os\nos.environ['A']", "os.environ"),
        ("import os as o\no.getenv('A')", "os.getenv"),
        ("from os import environ\nenviron['A']", "os.environ"),
        ("from datetime import datetime as d\nd.now()", "datetime.datetime.now"),
        ("import datetime\ndatetime.datetime.now()", "datetime.datetime.now"),
    ],
)
def test_sees_through_the_ways_to_import_a_name(source: str, found: str) -> None:
    assert found in [name for name, _ in names(tuple(ast.walk(ast.parse(source))))]


@cache
def modules() -> dict[str, ast.Module]:
    """Every module of the program, by its path. Read when asked for, since every worker of the tests comes by here."""
    return {str(path.relative_to(SOURCE)): ast.parse(path.read_text()) for path in sorted(SOURCE.rglob("*.py"))}


@cache
def nodes_of(module: str) -> tuple[ast.AST, ...]:
    """All that one of ours consists of: to go through its tree takes longer than to look at what is in it."""
    return tuple(ast.walk(modules()[module]))


def imported(node: ast.Import | ast.ImportFrom) -> list[str]:
    """The modules that an import statement names."""
    return [alias.name for alias in node.names] if isinstance(node, ast.Import) else [node.module or ""]


def places(forbidden: set[str], *, besides: tuple[str, ...]) -> list[str]:
    """Where modules that don't begin with one of *besides* use one of the *forbidden* names."""
    return [
        f"{name}:{line}: {used}"
        for name in modules()
        if not name.startswith(besides)
        for used, line in names_of(name)
        if used in forbidden
    ]


@cache
def names_of(module: str) -> list[tuple[str, int]]:
    """What ``names`` finds in one of ours."""
    return list(names(nodes_of(module)))


def names(nodes: Sequence[ast.AST]) -> Iterator[tuple[str, int]]:
    """Every dotted or imported name used among *nodes*, as it is called where it comes from, with its line."""
    meanings: dict[str, str] = {}
    for node in nodes:
        if isinstance(node, ast.Import):
            meanings |= {alias.asname: alias.name for alias in node.names if alias.asname}
        elif isinstance(node, ast.ImportFrom):
            meanings |= {alias.asname or alias.name: f"{node.module}.{alias.name}" for alias in node.names}
    for node in nodes:
        if isinstance(node, ast.Attribute | ast.Name) and (parts := dotted(node)):
            yield ".".join([meanings.get(parts[0], parts[0]), *parts[1:]]), node.lineno


def dotted(node: ast.expr) -> list[str]:
    """The parts of ``a.b.c``; none of what stands on more than names, such as ``f().b``."""
    parts: list[str] = []
    while isinstance(node, ast.Attribute):
        parts.append(node.attr)
        node = node.value
    return [node.id, *reversed(parts)] if isinstance(node, ast.Name) else []


#: Rooms of the operations that are nobody's: what lies there is shared.
SHARED = ("kiln/operations/", "kiln/operations/steps/", "kiln/operations/errors/")


def test_what_one_group_of_operations_uses_lies_in_that_group() -> None:
    shared = [name for name in modules() if name.startswith("kiln/operations/") and is_shared(name)]
    lonely = {name: users for name in shared if len(users := groups_that_use(name)) < 2}

    assert len(shared) > 15
    assert lonely == {}


def test_a_group_of_operations_takes_nothing_out_of_another() -> None:
    taken = [
        f"{name}: {module}"
        for name in modules()
        if name.startswith("kiln/operations/") and (group := group_of(name))
        for node in nodes_of(name)
        if isinstance(node, ast.ImportFrom)
        for module in imported(node)
        if module.startswith("kiln.operations.")
        and (other := group_of(module.replace(".", "/") + ".py"))
        and other != group
    ]

    assert taken == []


#: Rows that something makes anew, and where. Tokens and tasks are made by the store and by whoever serves them.
DRAFTED = {
    "Image": ["kiln/operations/images/parts/drafts.py"],
    "ImageDisk": ["kiln/operations/images/parts/drafts.py"],
    "Snapshot": ["kiln/operations/steps/drafts.py"],
    "Disk": ["kiln/operations/steps/drafts.py"],
    "Instance": ["kiln/operations/instances/parts/launch.py"],
    "Volume": ["kiln/store/volumes.py", "kiln/store/volumes.py"],
    "Task": ["kiln/store/tasks.py"],
    "Command": ["kiln/operations/assistant/parts/keeping.py"],
    "Invocation": ["kiln/operations/assistant/parts/targets.py"],
    "InvocationResult": ["kiln/operations/assistant/parts/targets.py"],
    "Eip": ["kiln/operations/eips/allocate_eip_address.py"],
    "Vpc": ["kiln/operations/steps/network_drafts.py"],
    "VSwitch": ["kiln/operations/steps/network_drafts.py"],
    "SecurityGroup": ["kiln/operations/steps/network_drafts.py"],
    "NetworkInterface": ["kiln/operations/steps/network_drafts.py"],
    "KeyPair": ["kiln/operations/key_pairs/parts/named.py"],
    "LaunchTemplate": ["kiln/operations/launch_templates/create_launch_template.py"],
    "LaunchTemplateVersion": ["kiln/operations/launch_templates/parts/versions.py"],
}


@pytest.mark.parametrize("row", DRAFTED)
def test_a_row_is_made_in_one_place(row: str) -> None:
    made = [
        name
        for name in modules()
        if not name.startswith("kiln/networks/")  # What is carried of a VPC has the names of its rows.
        for node in nodes_of(name)
        if isinstance(node, ast.Call) and isinstance(node.func, ast.Name) and node.func.id == row
    ]

    assert made == DRAFTED[row]


def is_shared(name: str) -> bool:
    return name.rpartition("/")[0] + "/" in SHARED and not name.endswith("__init__.py")


def group_of(name: str) -> str:
    """The group of operations whose folder the module lies in, or ""."""
    parts = name.removesuffix(".py").split("/")
    is_in_a_folder = parts[:2] == ["kiln", "operations"] and len(parts) > 3
    return parts[2] if is_in_a_folder and parts[2] not in ("steps", "errors") else ""


@cache
def groups_that_use(shared: str) -> frozenset[str]:
    """The groups of operations, and the packages besides them, that stand on a shared module, directly or not."""
    dotted = shared.removesuffix(".py").replace("/", ".")
    found: set[str] = set()
    for name, named in taken_by().items():
        if name == shared or dotted not in named:
            continue
        if group := group_of(name):
            found.add(group)
        elif name.startswith("kiln/operations/"):
            found |= groups_that_use(name) if is_shared(name) else set()
        else:
            found.add(name.split("/")[1])
    return frozenset(found)


@cache
def taken_by() -> dict[str, set[str]]:
    """What each module takes by ``from``: the modules, and what may be one by its name."""
    return {
        name: {
            one
            for node in nodes_of(name)
            if isinstance(node, ast.ImportFrom)
            for one in (node.module or "", *(f"{node.module}.{alias.name}" for alias in node.names))
        }
        for name in modules()
    }
