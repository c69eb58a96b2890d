"""How often a key, a client and an address may ask; docs/limits.md explains it to those who are limited."""
