"""A client of ``POST /apsara/route/Ecs/<Action>``, written from the gateway's documents alone.

It shares no code with the service, so that both can only agree where both read
the documents alike (apsara-gateway.md 1): HMAC-SHA256 over method, headers,
path and the raw form, the app's secret as key.
"""

from __future__ import annotations

import base64
import hashlib
import hmac
import json
import time
import urllib.error
import urllib.parse
import urllib.request
import uuid
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from tests.waiting import wait_for


class Refused(Exception):
    """The service answered with a failure."""

    def __init__(self, status: int, headers: Mapping[str, str], body: dict[str, Any]) -> None:
        super().__init__(f"{status} {body.get('Code')}: {body.get('Message')}")
        self.status = status
        self.headers = headers
        self.body = body


@dataclass(frozen=True)
class XCaClient:
    endpoint: str
    app_key: str
    app_secret: str
    region: str

    def ask(self, action: str, params: Mapping[str, str] | None = None, /, **more: str) -> dict[str, Any]:
        """The members of the answer to *action*. Raises Refused."""
        form = {"regionId": self.region, "RegionId": self.region, "version": "2016-01-01", **(params or {}), **more}
        return self.send(action, form)

    def send(self, action: str, form: Mapping[str, str], **laid_over: str) -> dict[str, Any]:
        """As ``ask``, with exactly this form; headers may be laid over the signed ones (``x_ca_key=...``)."""
        path = f"/apsara/route/Ecs/{action}"
        headers = self._headers(path, form) | {k.replace("_", "-"): v for k, v in laid_over.items()}
        body = urllib.parse.urlencode(form).encode()
        request = urllib.request.Request(self.endpoint + path, body, headers, method="POST")
        try:
            with urllib.request.urlopen(request, timeout=300) as answer:
                return json.load(answer)
        except urllib.error.HTTPError as error:
            with error:
                raise Refused(error.code, error.headers, json.load(error)) from None

    def wait_for_image(self, image_id: str) -> str:
        """Wait until the image is Available; returns its ID."""

        def probe() -> str | None:
            found = self.ask("DescribeImages", ImageId=image_id, Status="Creating,Waiting,Available,CreateFailed")
            (image,) = found["Images"]["Image"]
            assert image["Status"] != "CreateFailed", image
            return image["ImageId"] if image["Status"] == "Available" else None

        return wait_for(probe)

    def wait_for_instance(self, instance_id: str, status: str) -> str:
        """Wait until the instance has that status; returns its ID."""

        def probe() -> str | None:
            found = self.ask("DescribeInstances", InstanceIds=json.dumps([instance_id]))["Instances"]["Instance"]
            return instance_id if found and found[0]["Status"] == status else None

        return wait_for(probe)

    def wait_for_snapshot(self, snapshot_id: str) -> str:
        """Wait until the snapshot is accomplished; returns its ID."""

        def probe() -> str | None:
            found = self.ask("DescribeSnapshots", SnapshotIds=json.dumps([snapshot_id]))["Snapshots"]["Snapshot"]
            return snapshot_id if found and found[0]["Status"] == "accomplished" else None

        return wait_for(probe)

    def _headers(self, path: str, form: Mapping[str, str]) -> dict[str, str]:
        signed = {
            "X-Ca-Key": self.app_key,
            "X-Ca-Nonce": str(uuid.uuid4()),
            "X-Ca-Stage": "RELEASE",
            "X-Ca-Timestamp": str(time.time_ns() // 1_000_000),
        }
        placed = {
            "Accept": "application/json",
            "Content-MD5": base64.b64encode(hashlib.md5(b"", usedforsecurity=False).digest()).decode(),
            "Content-Type": "application/x-www-form-urlencoded; charset=UTF-8",
            "Date": time.strftime("%a, %d %b %Y %H:%M:%S GMT", time.gmtime()),
        }
        parameters = "&".join(f"{k}={form[k]}" if form[k] else k for k in sorted(form))
        text = "\n".join(
            ["POST", *placed.values(), *(f"{name}:{signed[name]}" for name in sorted(signed)), f"{path}?{parameters}"]
        )
        signature = base64.b64encode(hmac.digest(self.app_secret.encode(), text.encode(), "sha256")).decode()
        rest = {"UserEmail": "somebody@example.com", "X-Ca-Version": "1", "X-Ca-Signature": signature}
        return placed | signed | rest | {"X-Ca-Signature-Headers": ",".join(sorted(signed))}
