"""Webhooks: signed as fal signs them, delivered at least once, or as badly as a switch wants."""
