"""The row of a new version."""

from __future__ import annotations

from kiln.calls.call import Call
from kiln.operations.launch_templates.parts.data import TemplateInput, dump
from kiln.store.launch_templates import LaunchTemplateVersion


def draft(
    call: Call, template: str, number: int, said: TemplateInput, description: str | None
) -> LaunchTemplateVersion:
    """A version of *template* that says what a request says of instances."""
    return LaunchTemplateVersion(
        template=template,
        number=number,
        description=description or "",
        data=dump(said),
        created_by=call.account,
        created_at=call.now,
    )
