"""Which model fits a task: requirements, quality, alternatives."""
