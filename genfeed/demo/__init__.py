"""A month of simulated clients, lived through by the real code against a sandbox: `manage.py demo`."""
