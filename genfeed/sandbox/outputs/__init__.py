"""What a model answers: its input checked, its output made by its own schema."""
