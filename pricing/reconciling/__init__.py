"""Bringing our books to what the provider billed: reading bills, matching them to jobs, correcting, telling."""
