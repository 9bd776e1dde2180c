"""Which devices hold what: a name's hash picks a partition, a table made beforehand gives each partition its devices.

Step by step. (1) Hash modulo devices would do, but then one more device moves nearly everything. (2) So names are hashed into a fixed
number of partitions, 2^power, many more than devices, and only a table says where each partition lies: a new device takes some partitions
and nothing else moves. (3) For R copies the table has R rows. (4) Copies of a partition should not share a region, zone, node or device:
`targets.py` says how many copies of a partition each of these may hold, by weight and by dispersion. (5) `build.py` makes a table that
fits, out of the last one with as few moves as it can. (6) `lookup.py` reads it, and names the devices that stand in when one is away.
`file.py` writes it down.
"""
