"""What the operations on resource groups share."""
