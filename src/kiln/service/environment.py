"""``kiln env``: what clients read from the environment, ready for ``eval``."""

from __future__ import annotations

import shlex
import time

from kiln.service.accounts import Keys, known_keys
from kiln.service.address import Address, told
from kiln.service.claim import is_held
from kiln.service.clients import Place, variables_of
from kiln.service.databases import open_database
from kiln.service.errors import CertificateAbsent, DatabaseAbsent, DatabaseUnusable, KeyAbsent
from kiln.service.pairing import require_pair
from kiln.service.secrets import Sealer
from kiln.service.settings import Settings
from kiln.store.conninfo import has_password

_APPEARS_WITHIN_S = 10.0  #: A Kiln that is called in the same moment has its data folder by then.
_STARTS_WITHIN_S = 30.0
_LOOK_AGAIN_S = 0.1


def environment_of(client: str | None, settings: Settings) -> dict[str, str]:
    """As ``environment``, with what *client* reads beside: one of ``clients.CLIENTS``; None for what any of them does.

    Raises as it does, and CertificateAbsent where the service has made no certificate yet.
    """
    said = environment(settings)
    ca = settings.folder.ca
    if not ca.is_file():
        raise CertificateAbsent(f"{ca} is not there")
    return said | variables_of(client, Place(said["KILN_ENDPOINT"], ca))


def environment(settings: Settings) -> dict[str, str]:
    """The variables of Kiln's own CLI, of the current and classic SDKs, of OSS's, the aliyun CLI, Terraform and Packer.

    They name the service that runs in the data folder, as it said itself; where
    none does, the last one that did. Nothing is made: a Kiln that is just starting
    is waited for. Raises DatabaseAbsent when there is none, DatabaseUnusable,
    DeploymentRefused, SecretBroken, and KeyAbsent when no AccessKey is active.
    """
    own = Address(f"http://{settings.listen}", settings.region_ids)
    deadline = time.monotonic() + _APPEARS_WITHIN_S
    while True:
        try:
            require_pair(settings, strays=False)
            keys = _keys(settings)
            return _variables(settings, keys, told(settings.folder.endpoint, own))
        except DatabaseUnusable as error:
            # Whoever has just called `kiln serve` in another shell need not know when it is ready; while that makes its
            # tables they cannot be read.
            late = time.monotonic() - deadline
            may_come = isinstance(error, DatabaseAbsent) and late < 0
            if not may_come and (late > _STARTS_WITHIN_S or not is_held(settings.data)):
                raise
            time.sleep(_LOOK_AGAIN_S)


def _keys(settings: Settings) -> Keys:
    """The first account's, as they are: the shell may hold another Kiln's. Raises DatabaseAbsent before a start."""
    database = open_database(settings, None)
    try:
        keys = known_keys(database, Sealer.in_folder(settings.folder.shared), settings)
    finally:
        database.close()
    if keys is None:
        raise DatabaseAbsent(f"no Kiln has run in {settings.data} yet")
    if not keys.access_key_id:
        raise KeyAbsent(f"every AccessKey of account {keys.account} is disabled")
    return keys


def to_shell(variables: dict[str, str]) -> str:
    """``export`` lines."""
    return "".join(f"export {name}={shlex.quote(value)}\n" for name, value in variables.items())


def _variables(settings: Settings, keys: Keys, address: Address) -> dict[str, str]:
    region = address.regions[0]
    return _where(settings) | {
        "KILN_ENDPOINT": address.endpoint,
        "KILN_REGION": region,
        "KILN_DATA": str(settings.data),
        "KILN_ACCESS_KEY_ID": keys.access_key_id,
        "KILN_ACCESS_KEY_SECRET": keys.access_key_secret,
        "KILN_APP_KEY": keys.app_key,
        "KILN_APP_SECRET": keys.app_secret,
        "ALIBABA_CLOUD_ACCESS_KEY_ID": keys.access_key_id,
        "ALIBABA_CLOUD_ACCESS_KEY_SECRET": keys.access_key_secret,
        # One that was left in the shell would be sent beside these keys; an empty one is none.
        "ALIBABA_CLOUD_SECURITY_TOKEN": "",
        "ALIBABA_CLOUD_REGION_ID": region,
        "ALICLOUD_ACCESS_KEY": keys.access_key_id,
        "ALICLOUD_SECRET_KEY": keys.access_key_secret,
        "ALICLOUD_SECURITY_TOKEN": "",
        "SECURITY_TOKEN": "",
        "ALICLOUD_REGION": region,
        "OSS_ENDPOINT": address.endpoint,
        "OSS_ACCESS_KEY_ID": keys.access_key_id,
        "OSS_ACCESS_KEY_SECRET": keys.access_key_secret,
        "OSS_SESSION_TOKEN": "",
        "OSS_REGION": region,
    }


def _where(settings: Settings) -> dict[str, str]:
    """Where the deployment's things are, as far as they are not in the data folder: for words beside the service."""
    given = {
        # A password is no client's: who works beside the service has it where the service has.
        "KILN_DATABASE": "" if has_password(settings.database) else settings.database,
        "KILN_DATABASE_PASSWORD_FILE": settings.database_password_file if settings.database else "",
        "KILN_SHARED": "" if settings.shared is None else str(settings.shared),
        "KILN_POOL": settings.pool,
        "KILN_CEPH_CONF": settings.ceph_conf if settings.pool else "",
        "KILN_CEPH_USER": settings.ceph_user if settings.pool else "",
    }
    return {name: value for name, value in given.items() if value}
