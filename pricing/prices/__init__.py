"""What the provider charges: read with guards, kept over time, decided by people."""
