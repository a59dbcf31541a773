"""Every setting: its name, default, meaning, and the environment variable that sets it.

Flags win over the environment. A setting ``xyz`` is ``KILN_XYZ`` in the
environment. Beside these only ``XDG_DATA_HOME``, ``XDG_CACHE_HOME`` and
``HOME`` are read, for where the folders are that no setting names.
"""

from __future__ import annotations

import dataclasses
import os
import re
import types
import typing
from collections.abc import Mapping
from pathlib import Path
from typing import Annotated, Any

from kiln.declare.deployment import PUBLIC_NETWORK
from kiln.declare.regions import USUAL_REGIONS
from kiln.declare.rules import Doc, Secret
from kiln.ground.values import dataclass
from kiln.networks.callout import CallsOut
from kiln.networks.wayout import WayOut
from kiln.service.datafolder import DataFolder
from kiln.service.durations import seconds_of, to_seconds
from kiln.service.errors import SettingRefused
from kiln.service.rules import (
    LEAST,
    PASSWORDS,
    require_at_least,
    require_database,
    require_host_grace,
    require_names,
    require_network,
    require_one_of,
    require_pool,
    require_regions,
    require_role,
    require_tunnel,
    require_ways,
)
from kiln.store.conninfo import Server, has_password

DEFAULT_LISTEN = "127.0.0.1:8787"
DEFAULT_TLS = "127.0.0.1:443"  #: Where clients look for a name of the cloud that leads to this host.
DEFAULT_REGION = "cn-qingdao-env17-d01"
OF_ROOT = Path("/var/lib/kiln")  #: The systemd unit's as well.


@dataclass(frozen=True)
class Default:
    """For people: the default of a setting where it depends on the environment, or is long."""

    text: str


@dataclass(frozen=True, kw_only=True)
class Settings:
    """The settings of one Kiln."""

    data: Annotated[
        Path,
        Doc("The data folder: database, pool, buckets, run folders and the master key."),
        Default("$XDG_DATA_HOME/kiln, else ~/.local/share/kiln; for root /var/lib/kiln where there is neither"),
    ]
    shared: Annotated[
        Path | None,
        Doc(
            "The folder that all processes of a deployment see, such as one of NFS: pool, buckets and keys lie there "
            "instead of in the data folder. It must be there, on a file system whose locks all of their hosts see. "
            "Empty: the data folder."
        ),
    ] = None
    listen: Annotated[str, Doc("HOST:PORT to listen on; port 0 takes a free one.")] = DEFAULT_LISTEN
    tls: Annotated[
        str,
        Doc(
            "HOST:PORT to listen on beside, where nothing but TLS is spoken, under the names of the cloud too; of "
            "--tls alone 127.0.0.1:443. `listen` speaks TLS as well, to who begins with it. `kiln ca` says whom "
            "clients have to trust."
        ),
    ] = ""
    peer_listen: Annotated[
        str,
        Doc(
            "HOST:PORT where the other processes of the deployment ask this one for what only its host knows, such as "
            "a console. Nobody else is answered there. Empty: a free port of the host of `listen`. Not used where "
            "SQLite is the database, which one process alone serves."
        ),
    ] = ""
    public_endpoint: Annotated[
        str,
        Doc(
            "HOST:PORT at which clients reach this Kiln, as DescribeRegions tells them: set it behind a proxy. "
            "Empty: where it listens, and of 0.0.0.0 the address of this host."
        ),
    ] = ""
    names: Annotated[
        str,
        Doc(
            "Names beside those of the cloud (`*.aliyuncs.com`) by which clients that come by a proxy mean this Kiln, "
            "separated by commas, such as an Apsara Stack's: `ecs.example.com`, or `*.example.com` for all below. "
            "Requests for other names, or other ports than 80 and 443, are refused. OSS's buckets are named below them."
        ),
    ] = ""
    machines: Annotated[
        str, Doc("`qemu`: instances are virtual machines. `none`: they have real disks and states, but nothing runs.")
    ] = "qemu"
    database: Annotated[
        str,
        Doc(
            "Empty: SQLite in the data folder. Or postgresql://user@host/name (needs the postgresql extra), an address "
            "of libpq: several hosts, `sslmode`, `sslrootcert` and all that it knows may stand in it, but as a flag no "
            "password."
        ),
    ] = ""
    database_password: Annotated[str, Secret(), Doc("The password of that user.")] = ""
    database_password_file: Annotated[
        str,
        Doc(
            "The file whose first line is that password. It is read at each new connection, so that the password may "
            "be changed while Kiln serves."
        ),
    ] = ""
    database_connections: Annotated[
        int, Doc("Connections to PostgreSQL that a process has at most, beside one for the lock; 8 of them are kept.")
    ] = Server.connections
    database_connect_timeout: Annotated[
        str, Doc("How long a PostgreSQL server, each of several, has to take a connection; `0`: as long as it likes.")
    ] = "10s"
    database_statement_timeout: Annotated[
        str, Doc("How long it has for one statement, then the call is answered with ServiceUnavailable; `0`: no bound.")
    ] = "30s"
    database_lock_timeout: Annotated[
        str, Doc("How long a statement waits there for what another has locked; `0`: as long as for the statement.")
    ] = "10s"
    pool: Annotated[
        str,
        Doc(
            "Empty: a folder of qcow2 files in the data folder. Or rbd:POOL, or rbd:POOL/NAMESPACE: a pool of a Ceph "
            "(needs the packages python3-rbd and qemu-block-extra, and the distribution's Python)."
        ),
    ] = ""
    ceph_conf: Annotated[
        str, Doc("Ceph's configuration file, which names the keyring too. Empty: where Ceph looks for it.")
    ] = ""
    ceph_user: Annotated[str, Doc("Whose key is used for Ceph, without `client.` before it.")] = "admin"
    regions: Annotated[
        str,
        Doc("The region IDs served, separated by commas; the first is the default."),
        Default(f"{DEFAULT_REGION}, then the usual regions of ECS, such as cn-hangzhou and us-east-1"),
    ] = ",".join((DEFAULT_REGION, *USUAL_REGIONS))
    accel: Annotated[
        str, Doc("`auto`: KVM when a probe guest has booted under it on this host, else TCG. Or `kvm`, or `tcg`.")
    ] = "auto"
    role: Annotated[
        str,
        Doc(
            "What this process does, where several share a PostgreSQL database. `api`: it answers requests. `worker`: "
            "it carries out tasks and has machines, on a host of its own, and answers /healthz, /readyz and /metrics. "
            "`all`: both."
        ),
    ] = "all"
    host: Annotated[
        str,
        Doc(
            "What this host is called in the rows of what runs on it: of several that share a database each has a "
            "name of its own. Where one Kiln alone serves a database, a start under another name takes over what the "
            "rows say of the old one."
        ),
    ] = "local"
    host_grace: Annotated[
        str,
        Doc(
            "How long the process of a host may be silent (`60s`, `5m`; at least 10 seconds) until its instances are "
            "Stopped and can be started elsewhere, where several hosts share a pool. Who ended in order may be away."
        ),
    ] = "60s"
    guest_network: Annotated[
        str,
        Doc(
            "`closed`: instances have networks of their own, and reach nothing of this host; where it cannot carry "
            "networks (`kiln doctor` says why) a guest is reached by its forwarded ports, and reaches nothing itself. "
            "`open`: instead of that a guest reaches whatever this host reaches, also what listens on this host's "
            "127.0.0.1, Kiln among it. It counts from an instance's next start on."
        ),
    ] = "closed"
    way_out: Annotated[
        str,
        Doc(
            "Where instances come to beyond their VPC, by this host. `public`: the internet, but no private network. "
            "CIDR blocks, with commas between them: those (`public,10.1.0.0/16`: both). `off`: nowhere. Never this "
            "host's own addresses, what listens on its 127.0.0.1, or its cloud's metadata."
        ),
    ] = "public"
    way_out_for: Annotated[
        str,
        Doc(
            "Which instances have that way out. `addressed`: as in the cloud those with a public or an elastic "
            "address. `all`: every one."
        ),
    ] = "addressed"
    tunnel_address: Annotated[
        str,
        Doc(
            "The IPv4 address by which other hosts reach this one's part of VPCs, on a network of the operator's own; "
            "`off`: by none. Empty: the one by which it reaches the PostgreSQL server, unless that is 127.0.0.1."
        ),
    ] = ""
    guest_cpus: Annotated[
        int, Doc("Processors of guests that may run on this host at once; 0: four for each of its own.")
    ] = 0
    guest_memory: Annotated[
        int,
        Doc("MiB of memory that guests on this host may have at once; 0: all but an eighth, or but 1 GiB."),
    ] = 0
    webhooks_to: Annotated[
        str,
        Doc(
            "Whom webhooks of accounts may reach, as `way_out` has it of instances: `public`, CIDR blocks, or `off`. "
            "A network that is named, also of IPv6, is reached by `http://` too, and may be this host's own, such as "
            "`127.0.0.1/32`."
        ),
    ] = "public"
    public_network: Annotated[
        str,
        Doc(
            "The CIDR block of this host's addresses that instances are given as public and elastic ones, each to one "
            "instance of the deployment. All of 127.0.0.0/8 are there without being set up."
        ),
    ] = PUBLIC_NETWORK
    cache: Annotated[
        Path,
        Doc("Where the small guest's pieces are kept, which the demo makes and `auto` tries KVM with."),
        Default("$XDG_CACHE_HOME/kiln, else ~/.cache/kiln"),
    ]
    grace: Annotated[
        str,
        Doc(
            "How long what was deleted can be had back by `kiln trash restore ID`, in seconds, minutes, hours or days "
            "(`90s`, `15m`, `72h`, `7d`) during which Kiln serves; `0` keeps nothing. The pool takes the space back "
            "sooner when less than a twentieth of its disk, or less than 20 GiB, is free."
        ),
    ] = "72h"
    audit_days: Annotated[
        int,
        Doc(
            "How many days the audit is kept, in which every call that changes something has a line: "
            "`kiln audit` shows them. 0: nothing is written down, and what was goes."
        ),
    ] = 90
    audit_events: Annotated[
        int,
        Doc(
            "How many lines the audit has at most, and how many KiB they take; beyond that the oldest go, of the "
            "account that has most. Calls that were refused have a tenth of that."
        ),
    ] = 1_000_000
    threads: Annotated[
        int, Doc("Requests that are worked on at a time; those that wait for the disk are not counted.")
    ] = 4
    workers: Annotated[int, Doc("Threads that carry out tasks; three of them at most import and export.")] = 5
    log: Annotated[str, Doc("The least level that is logged: debug, info, warning or error.")] = "warning"
    log_format: Annotated[
        str,
        Doc("`json`: an object a line. `text`: for people. `auto`: that on a terminal, and json anywhere else."),
    ] = "auto"
    metrics: Annotated[
        str,
        Doc(
            "Who is told what is measured at /metrics. `loopback`: who asks from this host, and not by a proxy. "
            "`everybody`: everybody who reaches this Kiln. `off`: nobody."
        ),
    ] = "loopback"
    resource_groups: Annotated[
        str, Doc("IDs of resource groups, separated by commas, that every account has beside its own.")
    ] = ""
    server_access_key_id: Annotated[
        str,
        Doc(
            "An AccessKey ID of the first account, instead of one made at first start. KILN_ACCESS_KEY_ID and the "
            "like, which `kiln env` sets, are for clients: no service heeds them."
        ),
    ] = ""
    server_access_key_secret: Annotated[str, Secret(), Doc("The AccessKey secret that goes with it.")] = ""
    server_app_key: Annotated[str, Doc("An AppKey of the first account, instead of one made at first start.")] = ""
    server_app_secret: Annotated[str, Secret(), Doc("The AppSecret that goes with it.")] = ""
    kill_at: Annotated[
        str,
        Doc("For kill tests: end the program, as kill -9 does, at this named point, or the one that `@FILE` names."),
    ] = ""

    @property
    def address(self) -> tuple[str, int]:
        """Host and port of ``listen``."""
        return to_address(self.listen)

    @property
    def guests_way_out(self) -> WayOut:
        """``way_out`` and ``way_out_for``, read."""
        return WayOut(to=self.way_out, is_for_all=self.way_out_for == "all")

    @property
    def may_call(self) -> CallsOut:
        """``webhooks_to``, read."""
        return CallsOut(self.webhooks_to)

    @property
    def grace_seconds(self) -> float:
        """``grace``, read."""
        return seconds_of(self.grace)

    @property
    def host_grace_seconds(self) -> float:
        """``host_grace``, read."""
        return seconds_of(self.host_grace)

    @property
    def server(self) -> Server:
        """``database``, with what goes with it; only where that is set."""
        return Server(
            address=self.database,
            password=self.database_password,
            password_file=self.database_password_file,
            connections=self.database_connections,
            connect_s=seconds_of(self.database_connect_timeout),
            statement_s=seconds_of(self.database_statement_timeout),
            lock_s=seconds_of(self.database_lock_timeout),
        )

    @property
    def folder(self) -> DataFolder:
        """``data`` and ``shared``, with what is in them."""
        return DataFolder(self.data, self.shared)

    @property
    def guest_cache(self) -> Path:
        """Where below ``cache`` the small guest's pieces are."""
        return self.cache / "guest"

    @property
    def region_ids(self) -> tuple[str, ...]:
        """``regions``, split."""
        return _listed(self.regions)

    @property
    def own_names(self) -> tuple[str, ...]:
        """``names``, split, in lower case."""
        return _listed(self.names.lower())

    @property
    def resource_group_ids(self) -> tuple[str, ...]:
        """``resource_groups``, split."""
        return _listed(self.resource_groups)


@dataclass(frozen=True, kw_only=True)
class Described:
    """A setting as people are told of it."""

    name: str
    kind: type
    doc: str
    default: str  #: Empty where there is none to be told.
    is_secret: bool = False  #: It is in no bundle for support.


def described() -> dict[str, Described]:
    """Every setting, by its name."""
    hints = typing.get_type_hints(Settings, include_extras=True)
    found = {}
    for field in dataclasses.fields(Settings):
        hint = hints[field.name]
        notes = {type(note): note for note in hint.__metadata__}
        default = "" if field.default in (dataclasses.MISSING, None) else str(field.default)
        found[field.name] = Described(
            name=field.name,
            kind=_kind(hint.__origin__),
            doc=notes[Doc].text,
            default=notes[Default].text if Default in notes else default,
            is_secret=Secret in notes,
        )
    return found


def read_settings(environment: Mapping[str, str], **flags: Any) -> Settings:
    """Settings from flags (None: not given), then the environment, then defaults. Raises SettingRefused."""
    hints = typing.get_type_hints(Settings)
    values: dict[str, Any] = {}
    for field in dataclasses.fields(Settings):
        given = flags.get(field.name)
        if given is None:
            given = environment.get("KILN_" + field.name.upper()) or None
        if given is not None and (given != "" or field.default is not None):
            values[field.name] = _convert(field.name, _kind(hints[field.name]), given)
    values.setdefault("data", _data_folder(environment))
    values.setdefault("cache", _home_folder(environment, "XDG_CACHE_HOME", ".cache"))
    settings = Settings(**values)
    if has_password(flags.get("database") or ""):
        raise SettingRefused(f"--database has a password in it, which whoever lists processes reads. {PASSWORDS}")
    _check(settings)
    return settings


def to_address(text: str) -> tuple[str, int]:
    """Host and port of HOST:PORT that was checked; an address of IPv6 has no brackets then."""
    host, _, port = text.rpartition(":")
    return host.strip("[]"), int(port)


def _data_folder(environment: Mapping[str, str]) -> Path:
    """Where the data is that no setting names.

    Root's home is closed to others, and so to the users as whom the machines of a Kiln run that is root.
    """
    at_home = _home_folder(environment, "XDG_DATA_HOME", ".local/share")
    if os.geteuid() == 0 and not environment.get("XDG_DATA_HOME") and not at_home.exists():
        return OF_ROOT
    return at_home


def _home_folder(environment: Mapping[str, str], variable: str, below_home: str) -> Path:
    """Kiln's folder in the one that *variable* names, or in *below_home* under the home folder."""
    base = environment.get(variable)
    return (Path(base) if base else _home() / below_home) / "kiln"


def _home() -> Path:
    """The home folder; the root folder for a process that has none, such as one of a bare container."""
    try:
        return Path.home()
    except RuntimeError:
        return Path("/")


def _listed(text: str) -> tuple[str, ...]:
    """What stands between the commas."""
    return tuple(part.strip() for part in text.split(",") if part.strip())


def _kind(hint: Any) -> type:
    """The type of a setting that is given; one that may be none has two."""
    kind: type = next(one for one in (*typing.get_args(hint), hint) if one is not types.NoneType)
    return kind


def _convert(name: str, kind: type, given: Any) -> Any:
    if kind is int:
        try:
            return int(given)
        except ValueError:
            raise SettingRefused(f"{name} must be a whole number, not {given!r}") from None
    return Path(given).expanduser().absolute() if kind is Path else str(given)


def _check(settings: Settings) -> None:
    for name in ("listen", "tls", "peer_listen"):
        text = getattr(settings, name) or settings.listen
        host, _, port = text.rpartition(":")
        if not host or not port.isdigit() or int(port) > 65535:  # noqa: PLR2004 - the largest TCP port.
            raise SettingRefused(f"{name} must be HOST:PORT, not {text!r}")
    if settings.public_endpoint and not re.fullmatch(
        r"[^/\s:]+(:[0-9]+)?|\[[0-9a-fA-F:]+\](:[0-9]+)?", settings.public_endpoint
    ):
        raise SettingRefused(f"public_endpoint must be HOST:PORT, without http://, not {settings.public_endpoint!r}")
    require_names(settings.own_names)
    require_one_of("machines", settings.machines, ("qemu", "none"))
    if not re.fullmatch(r"[A-Za-z0-9][A-Za-z0-9._-]{0,62}", settings.host):
        rule = "up to 63 letters, digits, dots, hyphens and underscores"
        raise SettingRefused(f"host must be {rule}, not {settings.host!r}")
    require_role(settings.role, settings.database)
    require_one_of("accel", settings.accel, ("auto", "kvm", "tcg"))
    require_one_of("guest_network", settings.guest_network, ("closed", "open"))
    require_one_of("way_out_for", settings.way_out_for, ("addressed", "all"))
    require_ways(settings.way_out, settings.webhooks_to)
    require_network(settings.public_network)
    require_tunnel(settings.tunnel_address)
    require_one_of("log", settings.log, ("debug", "info", "warning", "error"))
    require_one_of("log_format", settings.log_format, ("auto", "json", "text"))
    require_one_of("metrics", settings.metrics, ("loopback", "everybody", "off"))
    timeouts = (f"database_{what}_timeout" for what in ("connect", "statement", "lock"))
    for name in ("grace", "host_grace", *timeouts):
        if to_seconds(getattr(settings, name)) is None:
            rule = "a duration such as 90s, 15m, 72h, 7d or 0"
            raise SettingRefused(f"{name} must be {rule}, not {getattr(settings, name)!r}")
    require_host_grace(settings.host_grace_seconds)
    require_database(settings.database, settings.database_password, settings.database_password_file)
    require_pool(settings.pool)
    require_regions(settings.region_ids, DEFAULT_REGION)
    for one, other in (
        ("server_access_key_id", "server_access_key_secret"),
        ("server_app_key", "server_app_secret"),
    ):
        if bool(getattr(settings, one)) != bool(getattr(settings, other)):
            raise SettingRefused(f"{one} and {other} must be set together")
    for name, least in LEAST.items():
        require_at_least(name, getattr(settings, name), least)
