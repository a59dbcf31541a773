"""``kiln env``: what clients read from the environment, ready for ``eval``."""

from __future__ import annotations

import shlex
import time

from kiln.service.accounts import Keys, known_keys
from kiln.service.claim import is_held
from kiln.service.databases import open_database
from kiln.service.errors import DatabaseAbsent, DatabaseUnusable
from kiln.service.pairing import require_pair
from kiln.service.secrets import Sealer
from kiln.service.settings import Settings

_APPEARS_WITHIN_S = 10.0  #: A Kiln that is called in the same moment has its data folder by then.
_STARTS_WITHIN_S = 30.0
_LOOK_AGAIN_S = 0.1


def environment(settings: Settings) -> dict[str, str]:
    """The variables of Kiln's own CLI, of the current and classic SDKs, of the aliyun CLI, Terraform and Packer.

    Nothing is made: a Kiln that is just starting is waited for. Raises
    DatabaseAbsent when there is none, DatabaseUnusable, DeploymentRefused.
    """
    deadline = time.monotonic() + _APPEARS_WITHIN_S
    while True:
        try:
            require_pair(settings, strays=False)
            return _variables(settings, _keys(settings), _endpoint(settings))
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
        keys = known_keys(database, Sealer.in_folder(settings.data), settings)
    finally:
        database.close()
    if keys is None:
        raise DatabaseAbsent(f"no Kiln has run in {settings.data} yet")
    return keys


def to_shell(variables: dict[str, str]) -> str:
    """``export`` lines."""
    return "".join(f"export {name}={shlex.quote(value)}\n" for name, value in variables.items())


def _endpoint(settings: Settings) -> str:
    """Where the server said that it listens, or where it would."""
    written = settings.folder.endpoint
    return written.read_text().strip() if written.is_file() else f"http://{settings.listen}"


def _variables(settings: Settings, keys: Keys, endpoint: str) -> dict[str, str]:
    region = settings.region_ids[0]
    return {
        "KILN_ENDPOINT": endpoint,
        "KILN_REGION": region,
        "KILN_DATA": str(settings.data),
        "KILN_ACCESS_KEY_ID": keys.access_key_id,
        "KILN_ACCESS_KEY_SECRET": keys.access_key_secret,
        "KILN_APP_KEY": keys.app_key,
        "KILN_APP_SECRET": keys.app_secret,
        "ALIBABA_CLOUD_ACCESS_KEY_ID": keys.access_key_id,
        "ALIBABA_CLOUD_ACCESS_KEY_SECRET": keys.access_key_secret,
        "ALIBABA_CLOUD_REGION_ID": region,
        "ALICLOUD_ACCESS_KEY": keys.access_key_id,
        "ALICLOUD_SECRET_KEY": keys.access_key_secret,
        "ALICLOUD_REGION": region,
    }
