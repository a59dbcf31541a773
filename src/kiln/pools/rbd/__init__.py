"""A pool on Ceph RBD."""
