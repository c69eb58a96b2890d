"""Files: of jobs and of clients; stored, looked into, scanned, served, and deleted in time."""
