"""Promises of docs/security.md, each tried from outside."""
