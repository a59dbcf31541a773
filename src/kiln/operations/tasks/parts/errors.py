"""What the operations on tasks say."""

from __future__ import annotations

from kiln.declare.errors import ApiError


class InvalidTaskIdNotFound(ApiError):
    """No import or export of that ID can be seen by this account in the region."""

    code = "InvalidTaskId.NotFound"
    message = 'The specified "TaskId" is not found.'
