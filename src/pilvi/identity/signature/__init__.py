"""Signatures of Amazon's query and REST protocols, from the secret and what was signed."""
