"""What templates of other floors show of jobs."""
