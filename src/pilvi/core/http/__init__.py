"""The HTTP edge: application, authentication, faults, limits, and the ways to call another service."""
