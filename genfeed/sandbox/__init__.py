"""A local server that behaves like fal.ai, so that everything runs without a key, without money and without internet.

It stands in for a stranger: it imports nothing of this project, and nothing of this project imports it.
"""
