"""What the operations on instances are built of."""
