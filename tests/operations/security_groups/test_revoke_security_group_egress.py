"""RevokeSecurityGroupEgress, as a caller meets it: see ``revoking``."""

from __future__ import annotations

from tests.operations.security_groups.revoking import Revoking


class TestRevokeSecurityGroupEgress(Revoking):
    way = "egress"
