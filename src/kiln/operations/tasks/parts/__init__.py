"""What the operations on tasks are built of."""
