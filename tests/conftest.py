"""Fixtures for all tests."""
from tests.outside.fixtures import cloud_at

__all__ = ["cloud_at"]
