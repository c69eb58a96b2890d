"""What many requests cost that depend on one another."""
