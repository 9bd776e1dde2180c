"""Where the users and groups of a domain are kept, beside identity's own tables (the driver `sql`)."""
from __future__ import annotations

from pilvi.core.drivers import Drivers
from pilvi.identity.drivers.interface import Directory

DIRECTORIES: Drivers[type[Directory]] = Drivers({"ldap": "pilvi.identity.drivers.ldap:Ldap"})
