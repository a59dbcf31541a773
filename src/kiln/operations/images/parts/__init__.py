"""What the operations on images are built of."""
