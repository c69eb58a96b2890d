"""Two webs, two workers and two dispatchers on one PostgreSQL, what is done to them under load, and what is left.

`python -m tests.nodes [--short] [--only NAME …]` does all of it and prints a table (docs/faults.md).
"""
