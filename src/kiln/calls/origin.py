"""How a request came: what an operation may know of it beside its parameters."""

from __future__ import annotations

import re

from kiln.calls.sessions import Session
from kiln.declare.cloud import is_of_cloud
from kiln.ground.values import dataclass

#: A name or an address of a host, and perhaps a port: what a client may be told again.
_address = re.compile(r"([A-Za-z0-9._-]{1,253}|\[[0-9A-Fa-f:.]{2,45}\])(:[0-9]{1,5})?").fullmatch


@dataclass(frozen=True, kw_only=True)
class Origin:
    """See the module."""

    request_id: str = ""
    access_key_id: str = ""  #: Which signed it; of the Apsara route the app's.
    session: Session | None = None  #: Of a key of a role.
    region: str = ""  #: That the host names, where it is signed for: ``ecs.cn-hangzhou.aliyuncs.com``.
    host: str = ""  #: What the client called this server, as HTTP's Host says it; nobody has signed for it.
    peer: str = ""  #: The address that it came from.
    user_agent: str = ""  #: What the client calls itself.
    person: str = ""  #: Who uses the app of the Apsara route, where that is told.
    is_tls: bool = False  #: Whether it came over TLS to this server itself.

    def reached_at(self, otherwise: str) -> str:
        """The address that the client found this service at; *otherwise* where it said none, or a name of the cloud.

        Who was led here by a proxy or a file of hosts calls this server by a name of the cloud, which leads others
        elsewhere.
        """
        found = _address(self.host)
        return self.host if found is not None and not is_of_cloud(found[1]) else otherwise
