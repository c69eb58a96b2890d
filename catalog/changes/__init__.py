"""What changed between two versions of a model's schema, classed and told in words."""
