"""What the operations on disks are built of."""
