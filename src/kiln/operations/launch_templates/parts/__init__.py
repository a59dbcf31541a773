"""What the operations on launch templates share."""
