"""What the operations on security groups are built of."""
