"""The queue and its direct sister: requests are taken, wait, run and end."""
