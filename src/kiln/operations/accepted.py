"""Why parameters that ECS has are read here and have no effect: the sentences that several operations say.

Where silence would cost the caller dearly the parameter is declined instead. A
sentence that only one operation says stands there.
"""

from __future__ import annotations

from kiln.declare.rules import Accepted, Declined

BILLING = Accepted("Nothing is billed.")
CATEGORIES = Accepted("All categories are the same bytes here.")
CPU = Accepted("The instance type says it all.")
DNS = Accepted("There is no private DNS.")
HOSTS = Accepted("No caller chooses a host.")
IPV6 = Declined("networks here have IPv4 alone")
NETWORK = Accepted("The network of an instance is made by Kiln.")
ROLES = Accepted("Nothing is done by another account's role.")
SECURITY_AGENT = Accepted("There is no security agent.")
SERVICES = Accepted("There are no additional services.")
WHOLE_ANSWER = Accepted("Everything is always in the answer.")
