"""Options of object storage."""
from __future__ import annotations

from msgspec import Struct, field

from pilvi.objectstore.cluster.options import StorageOptions


class Config(Struct, kw_only=True):
    """[objectstore]"""
    operator_roles: list[str] = field(default_factory=lambda: ["admin", "manager", "member", "swiftoperator"])
    """Roles in a project that own its account."""
    reader_roles: list[str] = field(default_factory=lambda: ["reader"])
    """Roles in a project that may read its account."""
    reseller_role: str = "ResellerAdmin"
    """The role that may do everything in every account, and set quotas."""
    service_prefix: str = "SERVICE_"
    """Accounts with this prefix need the token of a service beside the user's."""
    tempauth_users: dict[str, str] = {}
    """Users of /auth/v1.0 beside identity's: {"account:user": "password group …"}; groups .admin, .reseller_admin or names. Empty: none."""
    encryption_root_secrets: dict[str, str] = {}
    """{id: base64 of at least 32 bytes}; new objects use the last, older ones stay readable. Empty: bytes lie as they are."""
    writes_per_second: float = 0.0
    """PUT and DELETE of objects in one container; more wait. 0: as many as come."""
    storage_domain: str = ""
    """Hosts ACCOUNT.DOMAIN and CONTAINER.ACCOUNT.DOMAIN name what the path then leaves out. Empty: not served."""
    sync_realms: str = ""
    """Path of the realms file (as upstream's container-sync-realms.conf) that lets containers be sent to other clouds. Empty: none."""
    storage: StorageOptions = field(default_factory=StorageOptions)
    """How bytes are kept."""
