"""Fixtures for all tests."""
from hypothesis import settings
from tests.outside.fixtures import cloud_at
from tests.postgres_server import postgres_url

__all__ = ["cloud_at", "postgres_url"]

settings.register_profile("shared", deadline=None)  # the machines are shared: how long one example takes says nothing
settings.load_profile("shared")
