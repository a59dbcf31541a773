"""AuthorizeSecurityGroup, as a caller meets it: see ``authorizing``."""

from __future__ import annotations

from tests.operations.security_groups.authorizing import Authorizing


class TestAuthorizeSecurityGroup(Authorizing):
    way = "ingress"
