"""``kiln env``: what clients read from the environment, ready for ``eval``."""

from __future__ import annotations

import shlex

from kiln.declare.clock import system_clock
from kiln.service.accounts import Keys, ensure_first_account, known_keys
from kiln.service.databases import open_database
from kiln.service.pairing import require_pair
from kiln.service.secrets import Sealer
from kiln.service.settings import Settings


def environment(settings: Settings) -> dict[str, str]:
    """The variables of Kiln's own CLI, of the current and classic SDKs, of the aliyun CLI, Terraform and Packer.

    Raises DatabaseUnusable, DeploymentRefused.
    """
    require_pair(settings, strays=False)
    settings.data.mkdir(parents=True, exist_ok=True)
    database = open_database(settings)
    try:
        sealer = Sealer.in_folder(settings.data)
        # Told as it is: the shell may hold keys of another Kiln, or of another account of this one.
        keys = known_keys(database, sealer, settings)
        keys = keys or ensure_first_account(database, sealer, settings, system_clock())
    finally:
        database.close()
    return _variables(settings, keys, _endpoint(settings))


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
