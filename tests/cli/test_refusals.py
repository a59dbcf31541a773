"""What is said when something does not succeed: what would be right, where the declarations know it."""

from __future__ import annotations

import pytest

from kiln.cli import exits
from kiln.cli.refusals import explain
from kiln.client import catalogue
from kiln.client.client import ApiFailure
from kiln.client.waiters import WaitFailed
from kiln.service.errors import DatabaseNewer, DatabaseOlder, DataFolderRefused


def failure(action: str, code: str, status: int = 400) -> ApiFailure:
    """As the client raises it."""
    hint = catalogue.load().hint(action, code, status)
    return ApiFailure(action=action, code=code, message="no", status=status, request_id="1", hint=hint)


@pytest.mark.parametrize(
    ("action", "code", "told"),
    [
        ("ExportImage", "InvalidImageFormat.Malformed", "It has to be one of raw, vhd, qcow2, vmdk, vdi."),
        ("ImportImage", "InvalidImageFormat.Malformed", "It has to be one of RAW, VHD, QCOW2, VMDK."),
        ("CreateImage", "InvalidArchitecture.Malformed", "It has to be one of i386, x86_64, arm64."),
        ("RunInstances", "InvalidInstanceName.Malformed", "It has to be 2 to 128 characters, a letter"),
        ("RunInstances", "InvalidPassword.Malformed", "It has to be 8 to 30 characters, of at least 3 sorts: capital"),
        ("StartInstance", "InvalidInstanceId.NotFound", "`kiln instance list` shows those that there are"),
        ("ReleaseEipAddress", "InvalidAllocationId.NotFound", "`kiln eip list` shows those that there are"),
        ("DeleteSecurityGroup", "InvalidSecurityGroupId.NotFound", "`kiln security-group list` shows those that there"),
    ],
)
def test_says_what_would_be_right(capsys, action, code, told):
    assert explain(failure(action, code)) == exits.REFUSED

    assert told in capsys.readouterr().err


@pytest.mark.parametrize(
    ("given", "is_told"), [("web", True), ("i-bp1g6zv0ce8oghu7k2d3", False)], ids=["a-name", "an-ID"]
)
def test_says_that_a_call_takes_no_names_where_one_was_given(capsys, given, is_told):
    known = failure("StartInstance", "InvalidInstanceId.NotFound", 404)
    known.asked = {"InstanceId": given}

    explain(known)

    assert ("`kiln call` takes IDs alone, and no names." in capsys.readouterr().err) is is_told


def test_says_what_to_do_about_what_failed_later(capsys):
    assert explain(WaitFailed("image m-1 is CreateFailed", "Make room."), about="m-1") == exits.FAILED_LATER

    assert capsys.readouterr().err == "kiln: m-1: image m-1 is CreateFailed\n(Make room.)\n"


def test_says_to_stop_what_is_to_be_deleted(capsys):
    explain(failure("DeleteInstance", "IncorrectInstanceStatus", 403))

    told = capsys.readouterr().err
    assert "`kiln instance stop INSTANCE`" in told
    assert "--force" in told


@pytest.mark.parametrize(
    ("action", "code", "told"),
    [
        ("StartTerminalSession", "IncorrectInstanceStatus", "`kiln instance start INSTANCE` starts it"),
        ("DeleteDisk", "IncorrectDiskStatus", "`kiln disk detach DISK INSTANCE`"),
        ("DeleteLaunchTemplateVersion", "InvalidOperation.DeleteDefaultVersion", "Make another the default first"),
    ],
)
def test_says_what_has_to_be_done_before(capsys, action, code, told):
    explain(failure(action, code, 403))

    assert told in capsys.readouterr().err


@pytest.mark.parametrize(
    "code", ["Throttling", "Invalid", "InvalidNothing.Malformed", "InvalidImageName.Duplicated", ""]
)
def test_says_nothing_where_nothing_is_known(capsys, code):
    """Of a name that another image has it was said which characters a name may have."""
    explain(failure("CreateImage", code))

    assert capsys.readouterr().err == f"kiln: {code}: no\nRequestId 1\n"


@pytest.mark.parametrize(
    ("error", "told"),
    [
        (DatabaseOlder("kiln.sqlite: its tables are of version 0001"), "stop it, and start it again"),
        (DatabaseNewer("kiln.sqlite: its tables are of version 9999"), "use that version"),
    ],
    ids=["older", "newer"],
)
def test_of_tables_of_another_version_it_is_said_which_is_to_serve(capsys, error, told):
    """Who asked `kiln env` after an upgrade, the service of before still running, was told to make room on the disk."""
    explain(error)

    said = capsys.readouterr().err
    assert told in said
    assert "make room" not in said


def test_a_folder_of_somebody_elses_may_be_the_shared_one(capsys):
    assert explain(DataFolderRefused("/srv/kiln holds other things")) == exits.SETTINGS

    assert "--shared" in capsys.readouterr().err
