"""Telemetry: what things do and did, as numbers. Counterpart of Gnocchi (metric API v1), Ceilometer (collection), Aodh (alarms) and
CloudKitty (rating).

The hard idea: a sample is merged into the statistics of its buckets when it arrives, so that what is read is always there; hosts send
samples in batches over the bus, and a batch is one transaction.
"""
