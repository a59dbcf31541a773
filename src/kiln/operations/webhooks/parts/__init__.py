"""What the operations on webhooks are built of."""
