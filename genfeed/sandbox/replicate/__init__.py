"""A second company in the same process: Replicate's API under /replicate/v1, its web pages under /replicate/web."""
