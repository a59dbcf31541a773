from __future__ import annotations

import contextlib
import io
import os
import pty
import socket
import sqlite3
import subprocess
import sys
from contextlib import closing

import pytest
from typer.testing import CliRunner

import kiln
from kiln.cli import exits
from kiln.cli.main import WORDS, app, every_command, load
from kiln.client import catalogue
from tests.rested import a_rested_kiln

NOWHERE = {
    "KILN_ENDPOINT": "",
    "KILN_ACCESS_KEY_ID": "id",
    "KILN_ACCESS_KEY_SECRET": "secret",
    "ALIBABA_CLOUD_ACCESS_KEY_ID": "",
    "ALIBABA_CLOUD_ACCESS_KEY_SECRET": "",
    "KILN_DATA": "",
}


def said(*words: str, **environment: str):
    """What the command line prints and how it ends; nothing of this machine's settings is seen."""
    return CliRunner(env={**NOWHERE, **environment}).invoke(app, list(words))


def leaves() -> list[tuple[str, ...]]:
    """Every word that does something."""
    return [tuple(said.split()) for said, _ in every_command()]


def command_of(words: tuple[str, ...]):
    command = load(words[0])
    for word in words[1:]:
        command = command.commands[word]
    return command


def test_lists_every_word():
    printed = said("--help").stdout

    assert all(f"  {word}" in printed for word in WORDS)


def test_the_word_host_is_told_with_all_that_it_does():
    """It named two of its three words, and who looked for a way to empty a host found none."""
    told = WORDS["host"].about.lower()

    assert [word for word in ("list", "empty", "give one up") if word not in told] == []
    assert set(load("host").commands) == {"list", "drain", "forget"}


def test_what_finds_a_database_is_told_where_its_pool_is_shared():
    options = {said: {one for param in command.params for one in param.opts} for said, command in every_command()}

    assert [said for said, found in options.items() if "--database" in found and "--shared" not in found] == []


@pytest.mark.parametrize("words", leaves(), ids=" ".join)
def test_explains_every_word_with_an_example(words):
    printed = said(*words, "--help").stdout

    assert "Example:" in printed
    assert f"kiln {' '.join(words)}" in printed.partition("Example:")[2]


@pytest.mark.parametrize("words", [(), *((word,) for word in WORDS), *leaves()], ids=" ".join)
def test_help_is_neither_cut_nor_too_wide_on_a_terminal_of_80_columns(words):
    printed = said(*words, "--help", COLUMNS="80").stdout.splitlines()

    assert [line for line in printed if len(line) > 80] == []
    assert [line for line in printed if line.endswith("...") and not line.startswith("Usage:")] == []


def test_the_list_of_words_is_whole_in_a_process_of_its_own():
    # A runner of typer's gives help two columns more than a process on such a terminal has.
    command = [sys.executable, "-P", "-m", "kiln.cli.main", "--help"]
    environment = {**os.environ, **NOWHERE, "COLUMNS": "80"}
    printed = subprocess.run(command, stdout=subprocess.PIPE, text=True, env=environment, check=True).stdout

    flowing = " ".join(printed.split())
    assert [word for word, known in WORDS.items() if f" {word} {known.about}" not in flowing] == []
    assert max(map(len, printed.splitlines())) <= 80


@pytest.mark.parametrize("words", [("image",), ("account", "keys")], ids=" ".join)
def test_a_word_with_words_below_it_prints_its_help_line_by_line_on_a_terminal_too(words):
    command = [sys.executable, "-P", "-m", "kiln.cli.main", *words]
    environment = {**os.environ, **NOWHERE, "COLUMNS": "80"}
    piped = subprocess.run(command, stderr=subprocess.PIPE, text=True, env=environment, check=False)

    ours, its = pty.openpty()
    with os.fdopen(ours, "rb", 0) as shown, os.fdopen(its, "wb", 0) as terminal:
        subprocess.run(command, stderr=terminal, env=environment, check=False)
        lines = shown.read(65536).decode().splitlines()

    assert "Commands:" in lines
    assert lines == piped.stderr.splitlines()


@pytest.mark.parametrize(
    ("words", "usage"),
    [
        (("wait",), "[OPTIONS] ID..."),
        (("instance", "shell"), "[OPTIONS] INSTANCE [COMMAND...]"),
        (("instance", "exec"), "[OPTIONS] INSTANCE COMMAND..."),
        (("account", "keys", "list"), "[OPTIONS] [ACCOUNT]"),
        (("image", "import"), "[OPTIONS] [FILE]"),
    ],
)
def test_usage_shows_what_has_to_be_given_as_manuals_do(words, usage):
    assert said(*words, "--help").stdout.splitlines()[0].endswith(f" {' '.join(words)} {usage}")


@pytest.mark.parametrize(
    ("words", "given"),
    [
        ("web uname -r", ["uname", "-r"]),
        ("web -- uname -r", ["uname", "-r"]),
        ("web --user app ls --user", ["ls", "--user"]),
        ("--timeout=20 web sh -c id", ["sh", "-c", "id"]),
        ("web ls -- -r", ["ls", "--", "-r"]),
    ],
)
def test_what_follows_a_command_is_the_command_s_own(words, given):
    """`kiln instance exec web uname -r` was refused: there is no option -r."""
    context = command_of(("instance", "exec")).make_context("exec", words.split())

    assert (context.params["instance"], [*context.params["command"]]) == ("web", given)


@pytest.mark.parametrize("words", leaves(), ids=" ".join)
def test_explains_every_option(words):
    silent = [option.name for option in command_of(words).params if not option.help]

    assert silent == []


def test_an_option_has_one_name_and_what_it_takes_has_one_too():
    """By which the program and the help call it; without the second, help would print a type."""
    options = [o for words in leaves() for o in command_of(words).params if o.param_type_name == "option"]
    names = {(option.opts[0], option.name) for option in options}

    assert len(names) == len({spelled for spelled, _ in names})
    assert [option.name for option in options if not option.is_flag and not option.metavar] == []


def test_the_data_folder_is_declared_once_for_clients_once_for_sockets_and_once_for_the_service():
    """A client takes no folder for granted, since its service may be elsewhere; the service has a default."""
    said_of = {
        words: option.help for words in leaves() for option in command_of(words).params if "--data" in option.opts
    }
    clients = ("image", "instance", "guest", "status")
    of_sockets = {said_of.pop(words) for words in (("instance", "console"), ("instance", "shell"))}
    of_clients = {text for (word, *_), text in said_of.items() if word in clients}
    of_the_service = {text for (word, *_), text in said_of.items() if word not in clients}

    assert len(of_sockets) == len(of_clients) == len(of_the_service) == 1
    assert ["KILN_DATA when not given" in text for text in (*of_sockets, *of_clients)] == [False, True]


@pytest.mark.parametrize("word", list(WORDS))
def test_says_of_a_word_what_the_word_says_of_itself(word):
    command = load(word)

    assert command.help.startswith(WORDS[word].about.rstrip("."))


def test_prints_its_version():
    assert said("--version").stdout == f"kiln {kiln.__version__}\n"


def test_loads_nothing_for_its_version_that_a_word_needs():
    """Which is why it takes a quarter of a second; a clock would measure who else uses this machine."""
    program = (
        "import sys; from kiln.cli.main import app; app(['--version'], standalone_mode=False); print(*sys.modules)"
    )

    done = subprocess.run([sys.executable, "-c", program], check=True, capture_output=True, text=True)

    heavy = {"sqlalchemy", "uvicorn", "starlette", "rich", "httpx", "http.client", "kiln.client", "kiln.operations"}
    assert heavy & set(done.stdout.split()) == set()


#: What none of the words may load that ask a service: each costs a tenth of what a word may take, or more.
HEAVY = frozenset(
    {"sqlalchemy", "uvicorn", "rich", "http.client", "ssl", "importlib.resources", "kiln.declare.rules"}
    | {"kiln.service.settings", "kiln.operations", "kiln.pools", "kiln.machines.runfolder"}
)


@pytest.mark.parametrize("words", ["image list", "instance list", "snapshot list", "disk list", "task list", "call X"])
def test_loads_what_its_word_needs(words):
    program = (
        "import sys; from kiln.cli.main import app\n"
        "try: app(sys.argv[1:], standalone_mode=False)\n"
        "finally: print(*sys.modules)"
    )
    nowhere = {**os.environ, **NOWHERE, "KILN_ENDPOINT": "http://127.0.0.1:1"}

    command = [sys.executable, "-c", program, *words.split()]
    loaded = subprocess.run(command, check=False, capture_output=True, text=True, env=nowhere).stdout.split()

    assert "typer" in loaded
    assert HEAVY & set(loaded) == set()
    groups = {f"kiln.cli.words.{module}" for module in ("images", "instances", "snapshots", "disks", "tasks", "call")}
    assert len(groups & set(loaded)) == 1


def test_every_word_lies_among_the_words():
    assert {word.module.rpartition(".")[0] for word in WORDS.values()} == {"kiln.cli.words"}


@pytest.mark.parametrize("module", ["account", "buckets", "env", "keys"])
def test_a_word_beside_a_database_loads_neither_operations_nor_machines(module):
    program = f"import sys, kiln.cli.words.{module}; print(*sys.modules)"

    loaded = subprocess.run([sys.executable, "-P", "-c", program], check=True, capture_output=True, text=True).stdout

    assert "kiln.store.database" in loaded.split()
    assert {"kiln.operations", "kiln.pools.qcow2", "kiln.machines.qemu"} & set(loaded.split()) == set()


def test_a_service_loads_nothing_that_few_requests_need():
    program = "import sys, kiln.cli.words.serve; print(*sys.modules)"
    rare = {"cryptography.x509", "cryptography.hazmat.primitives.serialization", "http.client", "tarfile"}
    rare |= {"backports.zstd", "compression.zstd", "alembic", "sqlalchemy.orm", "rich", "kiln.pools.unpacking_child"}

    loaded = subprocess.run([sys.executable, "-P", "-c", program], check=True, capture_output=True, text=True).stdout

    assert "kiln.operations" in loaded.split()
    assert rare & set(loaded.split()) == set()


def test_what_a_word_has_loaded_is_not_looked_through_for_garbage():
    program = (
        "import gc; from kiln.cli.main import load; before = gc.get_freeze_count(); load('region'); "
        "print(gc.isenabled(), gc.get_freeze_count() > before)"
    )

    done = subprocess.run([sys.executable, "-c", program], check=True, capture_output=True, text=True)

    assert done.stdout.split() == ["True", "True"]


def test_makes_the_command_alone_that_was_said():
    group = load("image")

    group.commands["list"]

    assert list(group.commands._made) == ["list"]
    assert len(group.commands) > 1


def test_suggests_a_word():
    result = said("imag")

    assert result.exit_code == exits.USAGE.number
    assert "Did you mean 'image'?" in result.stderr


def test_says_how_to_get_missing_settings():
    result = said("image", "list")

    assert result.exit_code == exits.SETTINGS.number
    assert "KILN_ENDPOINT is not set" in result.stderr
    assert 'eval "$(kiln env)"' in result.stderr


def test_takes_the_keys_that_the_official_tools_use():
    result = said(
        "image",
        "list",
        KILN_ACCESS_KEY_ID="",
        KILN_ACCESS_KEY_SECRET="",
        ALIBABA_CLOUD_ACCESS_KEY_ID="id",
        ALIBABA_CLOUD_ACCESS_KEY_SECRET="secret",
    )

    assert "KILN_ENDPOINT is not set" in result.stderr


def test_says_when_the_endpoint_is_no_address():
    result = said("image", "list", KILN_ENDPOINT="ftp://here")

    assert result.exit_code == exits.SETTINGS.number


def test_says_when_a_key_cannot_be_sent():
    result = said("image", "list", KILN_ENDPOINT="http://127.0.0.1:9", KILN_ACCESS_KEY_ID="id\nid")

    assert result.exit_code == exits.SETTINGS.number
    assert "KILN_ACCESS_KEY_ID is 'id\\nid'" in result.stderr


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("KILN_ACCESS_KEY_SECRET", "secret\udcff"),
        ("KILN_ENDPOINT", "http://kiln\udcff:9"),
        ("KILN_ENDPOINT", "http://窯:9"),
    ],
)
def test_says_which_setting_has_letters_that_cannot_be_sent(name, value):
    result = said("image", "list", **{"KILN_ENDPOINT": "http://127.0.0.1:9", name: value})

    assert result.exit_code == exits.SETTINGS.number
    assert name in result.stderr
    assert "secret\udcff" not in result.stderr


def test_says_when_nothing_answers():
    with socket.create_server(("127.0.0.1", 0)) as closed:
        port = closed.getsockname()[1]

    result = said("image", "list", KILN_ENDPOINT=f"http://127.0.0.1:{port}")

    assert result.exit_code == exits.UNREACHABLE.number
    assert "nothing answers at" in result.stderr
    assert "(`kiln serve` starts the service" in result.stderr


@pytest.mark.parametrize(
    "words",
    [
        ("image", "create"),
        ("image", "create", "--disk", "colour=red"),
        ("image", "import"),
        ("image", "import", "--bucket", "images"),
        ("image", "import", "disk.raw", "--bucket", "images", "--object", "disk.raw"),
        ("image", "export", "m-1", "--output", "file", "--no-wait"),
        ("instance", "run"),
        ("instance", "run", "--image", "m-1", "--family", "web"),
        ("instance", "run", "--image", "m-1", "--user-data", "no-such-file"),
        ("disk", "create"),
        ("call", "NoSuchAction"),
        ("call", "CreateImage", "RegionId"),
        ("call", "CreateImage", "Imagename=web"),
        ("call", "CreateImage", "ImageName=web", "ImageName=other"),
        ("call", "CreateImage", "ImageName=a\udcff"),
        ("image", "list", "--name", "a\udcff"),
        ("image", "list", "--region", "a\udcff"),
    ],
    ids=" ".join,
)
def test_refuses_what_it_does_not_understand(words):
    result = said(*words, KILN_ENDPOINT="http://127.0.0.1:9")

    assert result.exit_code == exits.USAGE.number


def test_sends_a_file_to_a_service_that_is_elsewhere_and_says_where_none_answers(tmp_path):
    file = tmp_path / "disk.raw"
    file.write_bytes(b"\0" * 512)
    nobody = {"KILN_ENDPOINT": "http://127.0.0.1:9", "KILN_ACCESS_KEY_ID": "a", "KILN_ACCESS_KEY_SECRET": "b"}

    result = said("image", "import", str(file), **nobody)

    assert result.exit_code == exits.UNREACHABLE.number
    assert "http://127.0.0.1:9" in result.stderr


def test_refuses_a_place_for_an_export_before_it_asks_for_one(tmp_path):
    nobody = {"KILN_ENDPOINT": "http://127.0.0.1:1", "KILN_ACCESS_KEY_ID": "a", "KILN_ACCESS_KEY_SECRET": "b"}

    result = said("image", "export", "m-1", "--output", str(tmp_path / "nowhere" / "web.raw"), **nobody)

    assert result.exit_code == exits.FILE.number
    assert f"{tmp_path / 'nowhere'} is no folder that is there" in result.stderr


def test_tells_what_an_action_takes():
    printed = said("call", "CreateImage", "--help").stdout

    assert "DiskDeviceMapping.N.SnapshotId (string)" in printed
    assert "InvalidImageName.Duplicated" in printed


@pytest.mark.parametrize("action", catalogue.load().names)
def test_what_it_tells_of_an_action_fits_a_terminal_of_80_columns(action):
    """But for a word that is longer by itself."""
    printed = said("call", action, "--help").stdout.splitlines()

    assert [line for line in printed if len(line) > 80 and len(line.split()) > 1] == []


def test_lists_the_actions():
    lines = said("call").stdout.splitlines()

    assert [line.split()[0] for line in lines] == list(catalogue.load().names), "one line each, for other programs"


@pytest.mark.parametrize("action", ["DescribImages", "describeimages", "DESCRIBEIMAGES"])
def test_says_which_action_may_have_been_meant(action):
    said_of = " ".join(said("call", action, "Status=ALL").stderr.split())

    assert said_of.endswith(f"there is no action {action}; did you mean DescribeImages? `kiln call --list` lists all")


def test_says_of_no_action_that_it_was_meant_where_none_is_like_it():
    said_of = " ".join(said("call", "Xyz").stderr.split())

    assert said_of.endswith("there is no action Xyz; `kiln call --list` lists all")


def test_the_list_of_actions_is_folded_to_its_terminal():
    ours, its = pty.openpty()
    command = [sys.executable, "-P", "-m", "kiln.cli.main", "call"]
    with subprocess.Popen(command, stdout=its, env={**os.environ, **NOWHERE, "COLUMNS": "80"}):
        os.close(its)
        with os.fdopen(ours, "rb", 0) as shown:
            printed = everything_of(shown).decode().splitlines()

    assert max(map(len, printed)) <= 80
    starts = [line.split()[0] for line in printed if not line.startswith(" ")]
    assert starts == list(catalogue.load().names)


def everything_of(terminal: io.FileIO) -> bytes:
    """What a terminal shows until nobody writes to it any more, which it says by an error."""
    printed = b""
    with contextlib.suppress(OSError):
        while block := terminal.read(65536):
            printed += block
    return printed


def test_refuses_a_setting_that_cannot_be(tmp_path):
    result = said("serve", "--data", str(tmp_path / "data"), "--listen", "everywhere")

    assert result.exit_code == exits.SETTINGS.number
    assert "listen must be HOST:PORT" in result.stderr
    assert not (tmp_path / "data").exists()


def test_says_when_a_data_folder_cannot_be_one(tmp_path):
    (file := tmp_path / "file").touch()

    result = said("serve", "--data", str(file))

    assert result.exit_code == exits.SETTINGS.number
    assert f"{file} is no folder" in result.stderr


def test_makes_a_database_that_nobody_else_may_read(tmp_path):
    a_rested_kiln(tmp_path)

    assert (tmp_path / "kiln.sqlite").stat().st_mode & 0o777 == 0o600


@pytest.mark.parametrize(("words", "code"), [(("env",), exits.FILE), (("account", "list"), exits.UNSOUND)])
def test_says_that_a_database_cannot_be_used(tmp_path, words, code):
    (tmp_path / "kiln.sqlite").write_bytes(b"no database" * 1000)

    result = said(*words, "--data", str(tmp_path))

    assert result.exit_code == code.number
    assert f"{tmp_path / 'kiln.sqlite'}" in result.stderr
    assert "file is not a database" in result.stderr


def test_says_that_a_database_is_of_a_newer_kiln(tmp_path):
    a_rested_kiln(tmp_path)
    with closing(sqlite3.connect(tmp_path / "kiln.sqlite")) as database:
        database.execute("UPDATE alembic_version SET version_num = '9999'")
        database.commit()

    result = said("env", "--data", str(tmp_path))

    assert result.exit_code == exits.FILE.number
    assert "of version 9999" in result.stderr


def test_uses_each_exit_code_for_one_thing():
    numbers = [code.number for code in exits.ALL]

    assert len(set(numbers)) == len(numbers)
    assert {code for code in vars(exits).values() if isinstance(code, exits.Exit)} == set(exits.ALL)


@pytest.mark.parametrize("words", [(), ("image",), ("image", "list"), ("account", "keys", "add")], ids=" ".join)
def test_explains_a_word_behind_help_as_the_launcher_of_a_checkout_does(words):
    asked = said("help", *words)

    assert (asked.exit_code, asked.stdout) == (exits.DONE.number, said(*words, "--help").stdout)
