"""Software written for others, unchanged but for host and key."""
