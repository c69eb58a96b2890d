"""Accepting a job: what a client asks for, checked and written with its money at once."""
