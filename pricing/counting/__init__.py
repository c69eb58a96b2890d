"""How much of a unit a request asks for, found through the model's own schema."""
