"""What an operation is.

``check`` reads and decides; it writes nothing. ``commit`` records what was
decided and enqueues what is left to do. Both run in one SQL transaction, so
what was checked still holds when it is recorded, and a dry run is a check and
nothing more: no operation has to remember the flag. ``carry_out`` does the
long part later, may be killed at any line and is then run again.
"""

from __future__ import annotations

import inspect
import sys
from collections.abc import Callable, Mapping
from concurrent.futures import Future
from typing import Annotated, Any, Generic, TypeVar

from kiln.declare.errors import ApiError, DryRunOperation, InvalidRegionIdNotFound
from kiln.declare.facts import NoFacts
from kiln.declare.products import ActionKey, Product
from kiln.declare.rules import Accepted, Ascii, Doc, Example
from kiln.declare.shapes import Field, fields_of, shape, wire_name
from kiln.ground.values import dataclass

Input = TypeVar("Input")
Plan = TypeVar("Plan")
Output = TypeVar("Output")


@shape
class ClientTokenInput:
    """What an idempotent operation takes besides its Input."""

    client_token: Annotated[
        str | None,
        Ascii(64),
        Example("123e4567-e89b-12d3-a456-426655440000"),
        Doc("Makes the request idempotent: sent again with the same token and parameters, it gives the same answer."),
    ] = None


@shape
class DryRunInput:
    """What an operation with a dry run takes besides its Input."""

    dry_run: Annotated[bool | None, Doc("Check only. Success is reported as an error code that says so.")] = None


@shape
class OwnerInput:
    """Account selectors that almost every ECS operation takes."""

    owner_id: Annotated[int | None, Accepted("The signature says who calls."), Doc("Account selector.")] = None
    owner_account: Annotated[str | None, Accepted("The signature says who calls."), Doc("Account selector.")] = None
    resource_owner_id: Annotated[int | None, Accepted("The signature says who calls."), Doc("Account selector.")] = None
    resource_owner_account: Annotated[
        str | None, Accepted("The signature says who calls."), Doc("Account selector.")
    ] = None


@dataclass(frozen=True)
class Idempotence:
    """That an operation takes a ClientToken, and the errors it documents for it (ecs-api.md 4)."""

    mismatch: type[ApiError]  #: The token was used with other parameters.
    malformed: type[ApiError]  #: The token is too long or not ASCII.


@dataclass(frozen=True, kw_only=True)
class Operation(Generic[Input, Plan, Output]):
    """One action of the API, with everything that the rest of the house needs of it."""

    input: type[Input]
    output: type[Output]
    check: Callable[[Any, Input], Plan]
    #: Makes what takes long and needs no row, before the transaction that others wait for: ``call.prepared``, which
    #: ``commit`` has. It is made once ``check`` has let the request pass, and so never in a dry run.
    prepare: Callable[[Input], Any] | None = None
    #: What holds for parameters that the request does not say, by their names on the wire, such as a launch template;
    #: read in the transaction of ``check``, which is given the whole. A ClientToken is of what was sent.
    beneath: Callable[[Any, Input], Mapping[str, str]] | None = None
    #: Of a read: asks others than the database, such as guests, for what ``check`` tells of them. What is given is done
    #: when they have answered; the request waits for it without a thread, and not for long. None: for nobody.
    #: ``call.heard()`` is what it came to.
    inquire: Callable[[Any, Input], Future[Any] | None] | None = None
    commit: Callable[[Any, Plan], Output] | None = None  #: None: a read, whose Plan is its Output.
    carry_out: Callable[[Any], None] | None = None  #: Takes a ``Job``; run by a worker.
    facts: type = NoFacts  #: What its task remembers: see ``kiln.declare.facts``.
    give_up: Callable[[Any, ApiError], None] | None = None  #: Takes back what a failed carry_out had begun.
    errors: tuple[type[ApiError], ...] = ()  #: What check and commit may raise beside the decoder's own.
    idempotent: Idempotence | None = None  #: Takes a ClientToken.
    #: Takes DryRun: the "error" that says that all is well. Whatever writes takes it, documented or not: who asks for a
    #: rehearsal must not get the deed. Of reads those that the API documents it for.
    dry_run: type[ApiError] | None = None
    awaited: bool = False  #: Its answer waits a moment for what it has begun, which others are refused for.
    #: Gives space back, or ends what takes it: it may use the room that is kept for that when the disk is full.
    gives_back: bool = False
    unknown_region: type[ApiError] = InvalidRegionIdNotFound  #: The error for a RegionId that is not here.
    leads_to: tuple[str, ...] = ()  #: State at once, then each state that it may end in; for waiters and the reference.
    #: Products beside its group's whose version has it, too: it is one operation, whichever it is called by.
    also_in: tuple[Product, ...] = ()

    def __post_init__(self) -> None:
        if self.dry_run is None and not self.is_read:
            object.__setattr__(self, "dry_run", DryRunOperation)

    @property
    def name(self) -> str:
        """The action, taken from the name of the file that declares it."""
        return wire_name(self.module)

    @property
    def module(self) -> str:
        """The file that declares it, without folder and ending: ``create_image``."""
        return self.input.__module__.rpartition(".")[2]

    @property
    def group(self) -> str:
        """The folder that it lives in: ``images``."""
        return self.input.__module__.split(".")[-2]

    @property
    def product(self) -> Product:
        """The product that its group is of."""
        product: Product = sys.modules[self.input.__module__.rpartition(".")[0]].PRODUCT
        return product

    @property
    def key(self) -> ActionKey:
        """What it is called by in its own product."""
        return ActionKey(self.product, self.name)

    @property
    def keys(self) -> tuple[ActionKey, ...]:
        """All that the catalogue finds it by, its own product's first."""
        return (self.key, *(ActionKey(product, self.name) for product in self.also_in))

    @property
    def token_name(self) -> str:
        """What its ClientTokens are kept under: those of an action of another product that has its name are others."""
        return self.product.mark + self.name

    @property
    def doc(self) -> str:
        """The module's docstring: what the caller must know; the first line is the summary."""
        return inspect.cleandoc(sys.modules[self.input.__module__].__doc__ or "")

    @property
    def is_read(self) -> bool:
        """Whether it changes nothing."""
        return self.commit is None

    @property
    def parameters(self) -> tuple[Field, ...]:
        """Every request parameter: the Input's, and those that the dispatcher serves."""
        served = () if self.idempotent is None else fields_of(ClientTokenInput)
        served += () if self.dry_run is None else fields_of(DryRunInput)
        return fields_of(self.input) + served + fields_of(OwnerInput)
