"""Pilvi: a complete, OpenStack-compatible cloud in one package. The map of its folders is in docs/architecture.md."""
