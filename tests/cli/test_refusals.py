"""What is said when something does not succeed: what would be right, where the declarations know it."""

from __future__ import annotations

import pytest

from kiln.cli import exits
from kiln.cli.refusals import explain
from kiln.client import catalogue
from kiln.client.client import ApiFailure


def failure(action: str, code: str, status: int = 400) -> ApiFailure:
    """As the client raises it."""
    hint = catalogue.load().hint(action, code, status)
    return ApiFailure(action=action, code=code, message="no", status=status, request_id="1", hint=hint)


@pytest.mark.parametrize(
    ("action", "code", "told"),
    [
        ("ExportImage", "InvalidImageFormat.Malformed", "ImageFormat is one of raw, vhd, qcow2, vmdk, vdi."),
        ("ImportImage", "InvalidImageFormat.Malformed", "Format is one of RAW, VHD, QCOW2, VMDK."),
        ("CreateImage", "InvalidArchitecture.Malformed", "Architecture is one of i386, x86_64, arm64."),
        ("StartInstance", "InvalidInstanceId.NotFound", "`kiln instance list` shows those that there are"),
        ("ReleaseEipAddress", "InvalidAllocationId.NotFound", "`kiln eip list` shows those that there are"),
        ("DeleteSecurityGroup", "InvalidSecurityGroupId.NotFound", "`kiln security-group list` shows those that there"),
    ],
)
def test_says_what_would_be_right(capsys, action, code, told):
    assert explain(failure(action, code)) == exits.REFUSED

    assert told in capsys.readouterr().err


def test_says_to_stop_what_is_to_be_deleted(capsys):
    explain(failure("DeleteInstance", "IncorrectInstanceStatus", 403))

    told = capsys.readouterr().err
    assert "`kiln instance stop INSTANCE`" in told
    assert "--force" in told


@pytest.mark.parametrize("code", ["Throttling", "Invalid", "InvalidNothing.Malformed", ""])
def test_says_nothing_where_nothing_is_known(capsys, code):
    explain(failure("CreateImage", code))

    assert capsys.readouterr().err == f"kiln: {code}: no\nRequestId 1\n"
