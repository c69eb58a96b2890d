"""Protocols of others, spoken here: software that was written for them works with a host and a key of ours."""
