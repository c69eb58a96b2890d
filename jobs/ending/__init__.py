"""The end of a job: what came of it, what it costs, and what is told of it."""
