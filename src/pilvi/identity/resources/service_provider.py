"""Service provider: another cloud, known so that the catalogue can name it.

Source: Identity API v3, OS-FEDERATION, "Service providers".
"""
from __future__ import annotations

from sqlalchemy import select
from sqlalchemy.orm import Mapped, Session

from pilvi.core.resource import Resource
from pilvi.core.wire import OPTIONAL, REQUIRED, Base, boolean, field, text
from pilvi.identity import errors
from pilvi.identity.resources import policies
from pilvi.identity.resources.federation import FEDERATION, STRICT, put


class ServiceProvider(Base):
    __tablename__ = "identity_service_providers"
    id: Mapped[str] = field(text(64), key=True)
    auth_url: Mapped[str] = field(text(2048, r"https?://.+"), create=REQUIRED, update=True, filter=False)
    sp_url: Mapped[str] = field(text(2048, r"https?://.+"), create=REQUIRED, update=True, filter=False)
    description: Mapped[str | None] = field(text(65535), create=OPTIONAL, update=True, nullable=True, filter=False)
    enabled: Mapped[bool] = field(boolean(), create=OPTIONAL, update=True, default=False)
    relay_state_prefix: Mapped[str] = field(text(256), create=OPTIONAL, update=True, default="ss:mem:", filter=False)


PROVIDERS = select(ServiceProvider.id, ServiceProvider.auth_url, ServiceProvider.sp_url).where(ServiceProvider.enabled)


def enabled_providers(db: Session) -> list[dict[str, str]]:
    """What a token tells of other clouds."""
    return [dict(row._mapping) for row in db.execute(PROVIDERS)]


RESOURCE = Resource(
    ServiceProvider, "service_provider", f"{FEDERATION}/service_providers", STRICT, owner=None,
    verbs=("list", "show", "update", "delete"), missing=errors.ServiceProviderNotFound, policy=policies.verbs("service_provider"),
    default_sort=[("id", False)])
ROUTES = [put(RESOURCE)]
