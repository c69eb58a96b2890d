"""Tools for agents by the Model Context Protocol, under /mcp: our own API, call by call, with the caller's own key."""
