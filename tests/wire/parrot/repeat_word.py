"""Say a word again.

ECS had this before parrots were a product of their own, and goes on to have it.
"""

from __future__ import annotations

from typing import Annotated

from kiln.calls.call import Call
from kiln.declare.operation import Operation
from kiln.declare.products import ECS
from kiln.declare.rules import Doc, Example
from kiln.declare.shapes import shape
from kiln.operations.params import OwnRegionId


@shape
class Input:
    region_id: OwnRegionId = None
    word: Annotated[str, Example("hello"), Doc("The word.")]


@shape
class Output:
    word: Annotated[str, Doc("The word, as it was heard.")]


def check(_: Call, p: Input) -> Output:
    return Output(word=p.word)


repeat_word = Operation(input=Input, output=Output, check=check, also_in=(ECS,))
