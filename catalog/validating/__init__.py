"""Inputs of clients against the schemas of models: checked, filled in, and told in words what is wrong."""
