"""What narrows a list, where an operation cannot say it with the columns alone."""

from __future__ import annotations

from sqlalchemy import ColumnElement, false

Condition = ColumnElement[bool]

NOTHING: Condition = false()  #: No row meets it: a filter asks for what there is none of here.
