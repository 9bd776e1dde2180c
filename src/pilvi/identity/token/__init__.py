"""Tokens: what is in them, the keys that seal them, how they are issued and validated."""
