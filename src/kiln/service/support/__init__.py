"""A bundle for a report of a fault: what is known of a Kiln and its host, without anybody's secrets."""
