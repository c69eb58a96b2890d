"""Django's PostgreSQL, with one clock for all machines and no locks held by those that sleep."""
