"""What a request will cost before it runs, how sure that is, and why."""
