"""Signing in with an identity that another provider vouches for: the provider's assertion, the mapping, the user it becomes."""
