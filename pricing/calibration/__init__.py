"""What a few billed runs say about a price that no text tells."""
