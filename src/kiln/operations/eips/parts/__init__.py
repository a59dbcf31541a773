"""What the operations on elastic IP addresses are built of."""
