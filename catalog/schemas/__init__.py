"""Schemas of models: a provider's document, read and mapped into what the rest of the project speaks."""
