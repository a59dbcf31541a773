"""What an operation and a task are handed: the call, the job, the ports, quotas and grace."""
