"""Many jobs asked for in one request, told of together."""
