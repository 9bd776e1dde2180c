"""Programs that measure; their figures are in docs/figures.md."""
