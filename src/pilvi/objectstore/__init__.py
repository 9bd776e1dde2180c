"""Object storage: accounts, containers and objects on many devices, with no database at the centre. Counterpart: Swift (API v1), and S3.

The hard idea: any device may hold any copy, the ring says which ones should, every write carries a timestamp and the newest wins; so
nothing needs a lock across machines, and loops that compare and repair make all copies alike again after any failure.
"""
