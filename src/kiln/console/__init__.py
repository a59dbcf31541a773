"""The console: pages of a Kiln for people. It is a client, and can do nothing that a customer cannot."""
