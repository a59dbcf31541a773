"""What the operations on imports, exports and tasks say in their own way."""

from __future__ import annotations

from kiln.declare.errors import ApiError


class MissingParameterOfTasks(ApiError):
    """A mandatory parameter was not sent, as ImportImage, ExportImage and the task operations say it."""

    code = "MissingParameter"
    message = 'An input parameter "{parameter}" that is mandatory for processing the request is not supplied.'
