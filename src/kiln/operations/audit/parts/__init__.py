"""What the operations on the audit are built of."""
