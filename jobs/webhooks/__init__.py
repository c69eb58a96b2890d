"""Webhooks to clients: who is to be told of what, told once and again until it is taken."""
