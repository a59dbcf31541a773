"""Every metric that ``GET /metrics`` tells: its name, what it is, and its labels.

What is counted is counted by whoever does it, in a ``Counter`` or a ``Histogram`` of these; a ``Gauge`` is looked up by
``kiln.service.readings`` when it is asked for. Names are those of OpenTelemetry where it has one, and else ``kiln_``
with the unit at the end, as Prometheus has it. No label tells of an account, or is spelled by who asks.

https://prometheus.io/docs/practices/naming/
https://opentelemetry.io/docs/specs/semconv/http/http-metrics/
"""

from __future__ import annotations

from kiln.ground.meters import Counter, Gauge, Histogram, Metric

_ACTION = "the operation, as `CreateImage`"
_OF_TASK = "what the task does: mostly the operation that left it, as `CreateImage`"

REQUESTS = Histogram(
    "http_server_request_duration_seconds",
    "How long requests for operations took, from when they were there to their answer, or its first byte.",
    {
        "action": f"{_ACTION}; `unknown` where there is no such, `none` where it was refused before that was read",
        "door": "the protocol: `rpc`, `acs3`, `apsara`, `asapi`, `oss`",
        "http_response_status_code": "the status of HTTP; 0 where the caller left",
    },
)
CONNECTIONS = Gauge("kiln_http_connections", "Connections that are open.")
REFUSED = Counter(
    "kiln_http_refused_total",
    "Connections and requests that were refused before anybody was known.",
    {"reason": "the bound that was met, as `too_many_of_peer`"},
)

TASKS = Gauge(
    "kiln_tasks",
    "Tasks that are still to be done.",
    {"action": _OF_TASK, "state": "`running`; `waiting` for its turn; `postponed`, until it is tried again"},
)
TASK_AGE = Gauge(
    "kiln_task_queue_age_seconds",
    "How long the task that has waited longest could have begun, if others had let it.",
    {"action": _OF_TASK},
)
TASK_SECONDS = Histogram(
    "kiln_task_duration_seconds",
    "How long each try of a task took.",
    {
        "action": _OF_TASK,
        "outcome": "`done`; `failed`, with an error that the API tells; `postponed`, since it has to wait; "
        "`hindered`, by something that passes; `crashed`, by a fault of Kiln's; `left_off`, since Kiln stops; "
        "`stopped`, since the database is damaged; `unreadable`",
    },
    buckets=(0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 30.0, 60.0, 300.0, 1800.0, 7200.0),
)
LEASES_LOST = Counter(
    "kiln_task_leases_lost_total",
    "Tasks that somebody else took up while they were carried out here.",
    {"action": _OF_TASK},
)

CAPTURES = Counter(
    "kiln_captures_total",
    "Captures of disks, as by CreateImage and CreateSnapshot.",
    {"consistency": "`quiesced`, by the guest's agent; `crash-consistent`; `stopped`, where no machine ran"},
)
FREEZES = Histogram(
    "kiln_freeze_duration_seconds",
    "How long a guest's file systems were held still by its agent, for a capture.",
    buckets=(0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0),
)
THAWS_UNANSWERED = Counter(
    "kiln_thaws_unanswered_total",
    "Freezes that the guest's agent did not say it had ended. Each is asked for again until it does.",
)

FSYNCS = Histogram(
    "kiln_fsync_duration_seconds",
    "How long the disk took to have something for good. PostgreSQL's are its own to tell.",
    {"of": "`database`: a commit; `pool`: a file or a folder"},
)
POOL_BYTES = Gauge(
    "kiln_pool_bytes",
    "What the pool's files take on the disk.",
    {
        "kind": "`head`, which is written; `named` by a snapshot; `unnamed`, on which something stands; `doomed`, to "
        "be swept; `trash`, until its grace is over; `other`"
    },
)
POOL_SIZE = Gauge("kiln_pool_size_bytes", "The size of the pool's file system.")
POOL_FREE = Gauge("kiln_pool_free_bytes", "What is free in the pool's file system.")
DATABASE_FREE = Gauge(
    "kiln_database_free_bytes", "What is free for the database in the data folder's file system. Not with PostgreSQL."
)
VOLUMES = Gauge(
    "kiln_volumes",
    "Volumes, by what the database says of them.",
    {"kind": "`head` or `layer`", "state": "`planned`, `ready` or `doomed`"},
)
CHAIN_DEPTH_MAX = Gauge("kiln_chain_depth_max", "How many volumes the disk has that stands on most, itself included.")
CHAIN_DEPTH_MEAN = Gauge("kiln_chain_depth_mean", "How many volumes disks have on average, themselves included.")

RESOURCES = Gauge(
    "kiln_resources",
    "What all accounts together have.",
    {"kind": "`image`, `snapshot`, `disk` or `instance`", "status": "as the API tells it, such as `Running`"},
)
MACHINES = Gauge("kiln_machines_running", "Machines that run on this host.")

WEBHOOK_TRIES = Counter(
    "kiln_webhook_tries_total",
    "Events that were sent to webhooks.",
    {"outcome": "`taken`, or `failed`: then it is tried again, ever less often"},
)
WEBHOOK_WAITING = Gauge("kiln_webhook_events_waiting", "Events that webhooks have not taken yet.")

AUDIT_CALLS = Counter(
    "kiln_audit_calls_total",
    "Calls that the audit was told of.",
    {
        "outcome": "`written`, with its change; `refused`: it has an event some seconds later; `counted`: it was "
        "refused as others were, and is counted in an event of theirs; `lost`: it was refused, and no database took "
        "its event"
    },
)
AUDIT_REMOVED = Counter(
    "kiln_audit_removed_total",
    "Events that have left the audit.",
    {"reason": "`old`: older than KILN_AUDIT_DAYS; `many`: there was no room for them by KILN_AUDIT_EVENTS"},
)
AUDIT_EVENTS = Gauge("kiln_audit_events", "Events of the audit, as they were last weighed: every half a minute.")
AUDIT_BYTES = Gauge("kiln_audit_bytes", "What they take in the database, about.")

READY = Gauge(
    "kiln_ready",
    "1 where a part of Kiln is as it should be, and 0 where `/readyz` says why it is not.",
    {"check": "the part, as `/readyz` names it"},
)
FSCK_FINDINGS = Gauge(
    "kiln_fsck_findings",
    "What the last `kiln fsck` found that could write its verdict down; none where there has been none.",
    {"sort": "`repaired`, `repairable`, `pending` or `broken`"},
)
FSCK_TIME = Gauge("kiln_fsck_timestamp_seconds", "When that was, in seconds since 1970.")
LOGGED = Counter(
    "kiln_log_events_total",
    "Warnings and errors that the log was given; with KILN_LOG=error errors alone.",
    {"level": "`warning`: something did not go as somebody wanted; `error`: something is wrong with Kiln"},
)
DATABASE_RETRIES = Counter(
    "kiln_database_retries_total",
    "Transactions that were run again on PostgreSQL, since another was in the way.",
    {"reason": "`serialization`; `deadlock`; `unique`, since both made the same"},
)
PROCESS = Gauge(
    "kiln_process_info",
    "Always 1.",
    {"role": "as in the setting", "host": "as in the setting", "worker": "the process, another one at each start"},
)
BUILD = Gauge("kiln_build_info", "Always 1.", {"version": "of Kiln", "machines": "as in the setting"})

#: All of them, in the order in which they are told.
METRICS: tuple[Metric, ...] = tuple(metric for metric in globals().values() if isinstance(metric, Metric))
