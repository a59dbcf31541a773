"""The worker: threads that carry out tasks under leases.

What is done with an instance's machine may have to wait for its guest, who may
never answer. So the tasks of an instance's lane have a place, a thread, for
each lane, and the others some threads together: no guest can hold what anybody
else waits for (docs/design/0009). What is done within guests, by their agents,
has places of its own, which it gives back every few seconds.

A task that this process enqueued is handed over the moment its transaction is
durable; nothing polls for it. The store's news of a task that came, ended or is
to be cancelled have it look for what can be begun now, as the next of a lane. A
slow sweep looks for what no news tell: postponed tasks, leases that ran out.

A carry_out that raises an ApiError is given up with that error. What befell it
from outside is told as what it is (``faults``). Any other exception is ours: it
is logged with its traceback. Either way the task is tried again with growing
pauses, in which it keeps its lane, until the ``tries`` of its duty are used up.

A task that cannot be understood, and one whose give_up fails again and again,
is ended by what the rows tell of it (``ByRows``): nothing stays in a lane for
ever.
"""

from __future__ import annotations

import queue
import threading
import time
import uuid
from collections import deque
from collections.abc import Callable, Mapping
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from functools import partial
from typing import Any, Protocol

from kiln.calls.call import Job, NotYet, Ports
from kiln.calls.errors import TaskUnreadable
from kiln.calls.leased import leased
from kiln.calls.sizes import size_in
from kiln.declare.errors import ApiError, InternalError
from kiln.declare.facts import NoFacts, UnreadableFacts, read
from kiln.declare.metrics import LEASES_LOST, TASK_SECONDS
from kiln.declare.states import TaskStatus
from kiln.ground.clock import StepWatch
from kiln.ground.journal import Journal, about
from kiln.ground.killpoints import reach
from kiln.ground.threads import ended
from kiln.ground.values import dataclass
from kiln.store import claiming, lanes, tasks
from kiln.store.changes import Listener
from kiln.store.database import Transaction
from kiln.store.errors import DatabaseMalformed
from kiln.store.hosts import ANY_SHARE, NOTHING, Share
from kiln.store.room import left_on, most_elsewhere, waiting
from kiln.store.tasks import LeaseLost, Task
from kiln.store.transfers import transfers_at_once
from kiln.tasks.courtesy import Courtesy
from kiln.tasks.faults import UNFORESEEN, Fault, fault_of

TRIES = 6
TRIES_TO_GIVE_UP = 3  #: After those to carry out.
SWEEP_S = 1.0
MOST_PLACES = 512  #: For the lanes of instances, in which something is carried out at once.
MOST_ERRANDS = 64  #: Within guests at once; each has the place for some seconds, and comes again.
_BATCH = 16

_LEFT_OFF = "The service ended meanwhile; it begins anew when that runs again."
_BUSY_S = 1.0  #: Until what somebody else is in the way of is tried again.

log = Journal("kiln.tasks")


@dataclass(frozen=True)
class Duty:
    """What a worker can do for one action."""

    carry_out: Callable[[Job[Any]], None]
    give_up: Callable[[Job[Any], ApiError], None] | None = None
    gives_back: bool = False  #: As the operation's.
    facts: type = NoFacts  #: As the operation's.
    tries: int = TRIES


class ByRows(Protocol):
    """Ends a task that nobody can carry out or give up, by what the rows, the pool and the machines tell of it."""

    def end(self, ports: Ports, task: Task, error: ApiError, /) -> None:
        """Let go of all that the task had begun, and record it as Failed. Idempotent; may raise NotYet."""

    def fail_alone(self, tx: Transaction, task: Task, now: float, error: ApiError, /) -> bool:
        """Record the task as Failed and nothing else; False while that would lose something."""


@dataclass(frozen=True)
class _Postponement:
    """A task that is to be tried again, and has to be given back for that."""

    task: Task
    seconds: float  #: From then on that it is written, or by a clock of our own from *since* on.
    since: float
    failed: bool
    message: str = ""


class Worker:
    """See the module's docstring. Started by ``start``, ended by ``stop``; both once."""

    def __init__(
        self,
        ports: Ports,
        duties: Mapping[str, Duty],
        by_rows: ByRows,
        threads: int = 5,
        *,
        sweep_seconds: float = SWEEP_S,
    ) -> None:
        self.id = uuid.uuid4().hex
        self._ports = ports
        self._duties = duties
        self._by_rows = by_rows
        self._ready: queue.SimpleQueue[Task | None] = queue.SimpleQueue()
        self._places = ThreadPoolExecutor(MOST_PLACES, thread_name_prefix="worker-place")
        self._errands = ThreadPoolExecutor(MOST_ERRANDS, thread_name_prefix="worker-errand")
        self._adrift: deque[_Postponement] = deque()
        # Another may look while this one has the rows that both see, and then looks at its next turn.
        self._courtesy = Courtesy(2 * sweep_seconds)
        self._stopping = threading.Event()
        self._doing: dict[str, Task] = {}
        self._threads = [threading.Thread(target=self._work, name=f"worker-{n}") for n in range(threads)]
        self._threads.append(threading.Thread(target=self._sweep, name="worker-sweep"))
        self._sweep_seconds = sweep_seconds
        self._news: Listener | None = None  # From ``start`` on.

    def start(self) -> None:
        """Start the threads; what an earlier run left is taken up at once."""
        self._news = self._ports.database.hub.listen(("task",))
        self._news.wake()
        for thread in self._threads:
            thread.start()

    def stop(self) -> None:
        """Finish what is being carried out and end; what is left keeps its row and is done after the next start.

        Imports and exports are left off, since they may take hours; they begin anew after the next start.
        """
        self._stopping.set()
        if self._news is not None:
            self._news.close()
        for _ in self._threads:
            self._ready.put(None)
        for thread in self._threads:
            thread.join()
        self._places.shutdown(wait=True, cancel_futures=True)
        self._errands.shutdown(wait=True, cancel_futures=True)

    def look(self) -> None:
        """Look soon for what can be begun."""
        if self._news is not None:
            self._news.wake()

    def doing(self) -> list[Task]:
        """What is being carried out just now."""
        return list(self._doing.copy().values())

    def hand_over(self, task: Task) -> None:
        """Take a task whose lease is this worker's. After ``stop`` it keeps its row, for the next start."""
        if not lanes.instance_of(task.lane):
            self._ready.put(task)
            return
        places = self._errands if lanes.is_errand(task.lane) else self._places
        with suppress(RuntimeError):  # The places are closed.
            places.submit(self._attempt_next, task)

    def _work(self) -> None:
        while (task := self._ready.get()) is not None:
            self._attempt_next(task)

    def dead(self) -> list[str]:
        """The names of the threads that have ended although nobody stopped them."""
        return [] if self._stopping.is_set() else ended(self._threads)

    def _attempt_next(self, task: Task) -> None:
        if self._stopping.is_set() or self._ports.database.damage is not None:
            return
        self._doing[task.id] = task
        try:
            self.attempt(task)
        except LeaseLost:
            log.warning("lease_lost", task=task.id, action=task.action, generation=task.generation)
            LEASES_LOST.add(self._label(task))
        except BaseException:
            log.exception("task_broke_out", task=task.id, action=task.action, attempt=task.attempts + 1)
            self._take_back(task)
        finally:
            self._doing.pop(task.id, None)

    def _take_back(self, task: Task) -> None:
        """Try again what got past ``attempt``, as ``sys.exit`` in an operation would; in the end by the rows alone."""
        if task.attempts + 1 < TRIES:
            self._postpone(task, 5.0, failed=True)
            return
        try:
            self._end(task, InternalError(), TRIES + TRIES_TO_GIVE_UP)
        except BaseException:
            log.exception("end_broke_out", task=task.id)
            self._postpone(task, 5.0, failed=True)

    def _sweep(self) -> None:
        """Claim what is due and handed over by nobody; renew the leases of what is being done."""
        # Leases are renewed by the time that passes, and at once when the clock was set: by the new one they may have
        # run out, or never do so.
        renewed_at, step = float("-inf"), StepWatch(self._ports.clock)
        assert self._news is not None  # The thread is started after that.
        while not self._stopping.is_set():
            self._news.take(self._sweep_seconds)
            if self._stopping.is_set():
                return
            if self._ports.database.damage is not None:
                continue  # Nothing can be claimed or recorded; the log and the health say so.
            try:
                now = self._ports.clock()
                if step.has_stepped() or time.monotonic() - renewed_at > tasks.LEASE_S / 3:
                    now, renewed_at = self._ports.clock(), float("-inf")
                    self._ports.database.write(lambda tx, now=now: tasks.renew(tx, self.id, self._time(tx, now)))  # type: ignore[misc]
                    renewed_at = time.monotonic()
                self._give_back()
                while claimed := self.claim(now):
                    for task in claimed:
                        self.hand_over(task)
                    if len(claimed) < _BATCH:
                        break
            except DatabaseMalformed as error:
                log.warning("sweep_stopped", reason=str(error))
            except Exception as error:  # noqa: BLE001 - it is logged as what it is.
                _met("sweep_failed", "sweep_put_off", error)

    def claim(self, now: float) -> list[Task]:
        """Take the leases of tasks that are due and that nobody works on."""
        sizes = partial(size_in, self._ports.deployment)
        transfers = transfers_at_once(self._ports.database)
        with self._ports.database.read() as tx:
            if not claiming.is_any_due(tx, self._ports.host, self._time(tx, now), transfers=transfers):
                return []
            if not self._ports.is_alone:
                # Where nobody waits for room nobody is asked what he has left.
                self._courtesy.look(most_elsewhere(tx, self._ports.host, sizes) if waiting(tx) else NOTHING)

        def claim(tx: Transaction) -> list[Task]:
            if not self._ports.may_begin(tx):
                return []
            share = ANY_SHARE
            if not self._ports.is_alone:
                share = Share(left_on(tx, self._ports.host, sizes, self.id), self._courtesy.leaves)
            time_ = self._time(tx, now)
            return claiming.claim(tx, self.id, time_, _BATCH, self._ports.host, share=share, transfers=transfers)

        return self._ports.database.write(claim)

    def _time(self, tx: Transaction, now: float) -> float:
        return self._ports.database.time_of_leases(tx, now)

    def attempt(self, task: Task) -> None:
        """Carry out one task whose lease is this worker's, and record how it ended."""
        began = time.monotonic()
        with about(task=task.id, action=task.action, resource=task.resource, account=task.account):
            outcome = self._try(task, began)
        TASK_SECONDS.observe(time.monotonic() - began, self._label(task), outcome)

    def _label(self, task: Task) -> str:
        """What a task does, as metrics tell it: only what there is."""
        return task.action if task.action in self._duties else "unknown"

    def _try(self, task: Task, began: float) -> str:
        """As ``attempt``; returns how it ended, as ``TASK_SECONDS`` has it."""
        try:
            duty, job = self.understand(task)
        except UnreadableFacts as error:
            log.warning("task_unreadable", reason=str(error))
            self._end(task, TaskUnreadable(reason=str(error)), TRIES_TO_GIVE_UP)
            return "unreadable"
        outcome = "done"
        reach(f"worker.{task.action}.claimed")
        log.debug("task_begun", attempt=task.attempts + 1)
        try:
            duty.carry_out(job)
            self._conclude(job)
            took_ms = round((time.monotonic() - began) * 1000, 2)
            log.info("task_done", ms=took_ms, **({"bytes": job.moved_bytes} if job.moved_bytes else {}))
        except NotYet as wait:
            log.debug("task_postponed", seconds=wait.seconds, reason=wait.reason)
            self._postpone(task, wait.seconds, failed=False, message=wait.reason)
            outcome = "postponed"
        except DatabaseMalformed as error:
            # It is neither tried again nor given up, which would be decided by a damaged database: its row stays.
            log.warning("task_stopped", reason=str(error))
            outcome = "stopped"
        except ApiError as error:
            if job.was_left_off and not job.is_cancelled():
                log.info("task_left_off")
                self._postpone(task, 0.0, failed=False, message=_LEFT_OFF)
                return "left_off"
            log.warning("task_failed", code=error.code, message=str(error), **_untold(error))
            self._give_up(duty, job, error)
            outcome = "failed"
        except LeaseLost:
            raise
        except Exception as error:  # noqa: BLE001 - it is logged as what it is.
            outcome = self._meet(duty, job, error)
        return outcome

    def _meet(self, duty: Duty, job: Job[Any], error: Exception) -> str:
        """Try a task again that an exception has ended, or give it up with what that was; returns as ``_try``."""
        task, fault = job.task, _met("task_crashed", "task_hindered", error, attempt=job.task.attempts + 1)
        if fault.is_waited_for:
            self._postpone(task, _BUSY_S, failed=False, message=fault.message)
        elif fault.lasts or task.attempts + 1 >= duty.tries:
            self._give_up(duty, job, fault.error)
        else:
            self._postpone(task, min(30.0, 0.2 * 4.0**task.attempts), failed=True, message=fault.message)
        return "hindered" if fault.is_foreseen else "crashed"

    def understand(self, task: Task) -> tuple[Duty, Job[Any]]:
        """Who carries the task out, and with what. Raises UnreadableFacts."""
        duty = self._duties.get(task.action)
        if duty is None:
            raise UnreadableFacts("there is no such action")
        facts: object
        facts, unknown = read(duty.facts, task.payload)
        return duty, Job(
            task=task,
            ports=leased(self._ports, task),
            facts=facts,
            unknown=unknown,
            gives_back=duty.gives_back,
            is_ending=self._stopping.is_set,
        )

    def _conclude(self, job: Job[Any]) -> None:
        """Record the end of a task whose carry_out did not record it with its result."""
        with self._ports.database.read() as tx:
            row = tasks.tasks.find(tx, id=job.task.id)
        if row is not None and row.status == TaskStatus.PROCESSING:
            job.write(job.finish)

    def _postpone(self, task: Task, seconds: float, *, failed: bool, message: str = UNFORESEEN.message) -> None:
        self._adrift.append(_Postponement(task, seconds, self._ports.clock(), failed, message))
        try:
            self._give_back()
            self.look()  # No state has changed, but another may have the place that this one had.
        except Exception as error:  # noqa: BLE001 - it is logged as what it is.
            # The sweep tries again. The lease would not run out by itself, since this worker renews it.
            _met("postpone_failed", "postpone_put_off", error, task=task.id)

    def _give_back(self) -> None:
        """Record what was postponed, also what could not be recorded when the time came: the database was full."""
        while True:
            try:
                one = self._adrift.popleft()
            except IndexError:
                return
            try:
                self._ports.database.write(
                    lambda tx, one=one: tasks.postpone(  # type: ignore[misc]
                        tx, one.task, self._time(tx, one.since) + one.seconds, failed=one.failed, message=one.message
                    )
                )
            except BaseException:
                self._adrift.append(one)
                raise

    def _give_up(self, duty: Duty, job: Job[Any], error: ApiError) -> None:
        def fail(tx: Transaction) -> None:
            tasks.fail(tx, job.task, self._ports.clock(), error.code, str(error))

        try:
            if duty.give_up is not None:
                job.require_lease()
                duty.give_up(job, error)
            job.write(fail)
        except NotYet as wait:
            self._postpone(job.task, wait.seconds, failed=False, message=wait.reason)
        except LeaseLost:
            raise
        except Exception as e:  # noqa: BLE001 - it is logged as what it is.
            fault = _met("give_up_failed", "give_up_hindered", e, task=job.task.id, attempt=job.task.attempts + 1)
            tries = duty.tries + TRIES_TO_GIVE_UP
            if fault.is_waited_for:
                self._postpone(job.task, _BUSY_S, failed=False, message=fault.message)
            elif job.task.attempts + 1 >= tries:
                self._end(job.task, error, tries + TRIES_TO_GIVE_UP)
            else:
                self._postpone(job.task, 5.0, failed=True, message=fault.message)

    def _end(self, task: Task, error: ApiError, tries: int) -> None:
        """End a task by its rows; after so many *tries* in all the task alone, whatever becomes of its resource."""
        try:
            self._by_rows.end(leased(self._ports, task), task, error)
        except NotYet as wait:
            self._postpone(task, wait.seconds, failed=False, message=wait.reason)
        except LeaseLost:
            raise
        except Exception as e:  # noqa: BLE001 - it is logged as what it is.
            fault = _met("end_failed", "end_hindered", e, task=task.id, attempt=task.attempts + 1)
            if fault.is_waited_for:
                self._postpone(task, _BUSY_S, failed=False, message=fault.message)
            elif task.attempts + 1 < tries or not self._fail_alone(task, error):
                self._postpone(task, 5.0, failed=True, message=fault.message)

    def _fail_alone(self, task: Task, error: ApiError) -> bool:
        now = self._ports.clock()
        try:
            return self._ports.database.write(
                lambda tx: self._by_rows.fail_alone(tx, task, now, error), gives_back=True
            )
        except Exception as e:  # noqa: BLE001 - it is logged as what it is.
            _met("fail_alone_failed", "fail_alone_put_off", e, task=task.id)
            return False


def _met(unforeseen: str, foreseen: str, error: Exception, **said: object) -> Fault:
    """What *error*, which is being handled, means; a line in the log under a name, ours with its traceback."""
    fault = fault_of(error)
    if fault.is_foreseen:
        log.warning(foreseen, **said, reason=str(error))
    else:
        log.exception(unforeseen, **said)  # noqa: LOG004 - whoever calls it handles it.
    return fault


def _untold(error: ApiError) -> dict[str, str]:
    """Facts for the log that its message does not tell already, under names that the log does not use itself."""
    message = str(error)
    return {f"fact_{name}": str(value) for name, value in error.facts.items() if str(value) not in message}
