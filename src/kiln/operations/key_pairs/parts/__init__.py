"""What the operations on key pairs are built of."""
