"""What a bill means for a job: whether it can be right, and what the client is charged for it."""
