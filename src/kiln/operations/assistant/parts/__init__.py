"""What the operations of Cloud Assistant are built of."""
