"""What the operations on regions are built of."""
