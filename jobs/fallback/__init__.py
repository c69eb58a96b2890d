"""Models that may run a job in place of the one that was asked for, and the change from one to the next."""
