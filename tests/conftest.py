"""Fixtures for all tests."""
from tests.outside.fixtures import cloud_at
from tests.postgres_server import postgres_url

__all__ = ["cloud_at", "postgres_url"]
