"""What the operations on tags are built of."""
