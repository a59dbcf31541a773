"""Everything that a worker can be asked to carry out, by action."""

from __future__ import annotations

from kiln.calls.errors import (
    ServiceUnavailableHostFailed,
    ServiceUnavailableMachineAstray,
    ServiceUnavailableMachineFailed,
    ServiceUnavailableNoRoom,
    ServiceUnavailablePoolClosed,
    ServiceUnavailablePoolDamaged,
    TaskUnreadable,
)
from kiln.declare.errors import ApiError
from kiln.operations import ALL
from kiln.operations.errors.launches import ServiceUnavailableNoMachine
from kiln.operations.instances.parts import passwords
from kiln.operations.steps.transfer import TaskCancelled
from kiln.store.leaving import MOVE
from kiln.store.trash import RESTORE
from kiln.tasks.worker import Duty
from kiln.upkeep import moment, moves, moving, restore
from kiln.upkeep.live import ServiceUnavailableNotMoved
from kiln.upkeep.sweep import MERGE, MergeFacts, give_up_merge, merge

DUTIES = {
    operation.name: Duty(operation.carry_out, operation.give_up, operation.gives_back, facts=operation.facts)
    for operation in ALL
    if operation.carry_out is not None
} | {
    # One second of pauses in all: nobody waits for a merge, but everybody in its lane would wait with it. The sweeper
    # asks for another later.
    passwords.GIVE_PASSWORD: Duty(passwords.carry_out, facts=passwords.PasswordFacts),
    MERGE: Duty(merge, give_up_merge, facts=MergeFacts, tries=3),
    moment.MOMENT: Duty(moment.keep_moment, moment.give_up, facts=moment.MomentFacts, tries=3),
    MOVE: Duty(moving.move, moving.give_up, facts=moves.MoveFacts),
    RESTORE: Duty(restore.restore, restore.give_up, facts=restore.RestoreFacts, tries=3),
    restore.EMPTY: Duty(restore.empty, gives_back=True, facts=restore.EmptyFacts, tries=3),
}

#: What a task may be given up with beside what its operation declares. No answer has it: it is told of by why a
#: resource is as it is.
LATER: tuple[type[ApiError], ...] = (
    ServiceUnavailableNoRoom,
    ServiceUnavailablePoolClosed,
    ServiceUnavailablePoolDamaged,
    ServiceUnavailableHostFailed,
    ServiceUnavailableNoMachine,
    ServiceUnavailableMachineFailed,
    ServiceUnavailableMachineAstray,
    ServiceUnavailableNotMoved,
    moving.OperationDeniedNoStockElsewhere,
    passwords.PasswordRefused,
    TaskCancelled,
    TaskUnreadable,
)
