"""What a new cloud's identity holds before anybody can sign in: domain, roles, projects, users, and the catalogue. Repeatable.

The passwords are random words of 144 bits; hashing them slowly would protect nothing and cost every start a second, so they get the least
cost.
"""
from __future__ import annotations

import json
from collections.abc import Sequence

from sqlalchemy import select
from sqlalchemy.orm import Session

from pilvi.core.crypto import hash_password, new_password, secret_file
from pilvi.core.db.session import Database
from pilvi.core.service import Service
from pilvi.identity.resources.assignment import SYSTEM, Assignment
from pilvi.identity.resources.catalogue import CatalogueService, Endpoint, Region
from pilvi.identity.resources.domain import Domain
from pilvi.identity.resources.project import Project
from pilvi.identity.resources.role import ImpliedRole, Role
from pilvi.identity.resources.user import User
from pilvi.run.settings import Settings

ROLES = ("admin", "manager", "member", "reader", "service", "ResellerAdmin")
IMPLIES = (("admin", "manager"), ("manager", "member"), ("member", "reader"))
USERS = {"admin": ("admin", "admin"), "demo": ("demo", "member"), "pilvi-control": ("service", "admin"),
    "pilvi-host": ("service", "service")}
"""{user: (project, role)}"""
CHEAPEST_ROUNDS = 4
NAMES = {"identity": "keystone", "image": "glance", "placement": "placement", "network": "neutron", "block-storage": "cinderv3",
         "volumev3": "cinderv3", "compute": "nova", "object-store": "swift", "metric": "gnocchi", "alarming": "aodh",
         "rating": "cloudkitty", "orchestration": "heat"}


def passwords(settings: Settings) -> dict[str, str]:
    """{user: password}, made once."""
    made = json.dumps({user: new_password() for user in USERS})
    found: dict[str, str] = json.loads(secret_file(settings.passwords_path, lambda: made))
    return found


def bootstrap(database: Database, settings: Settings, services: Sequence[Service]) -> None:
    """Fills an empty identity, and keeps the catalogue at the address the cloud listens on."""
    with database.read() as db: fresh = db.get(Domain, "default") is None
    words = passwords(settings)
    hashed = {user: hash_password(word, CHEAPEST_ROUNDS) for user, word in words.items()} if fresh else {}
    with database.write() as db:
        if db.get(Domain, "default") is None: _people(db, hashed)
        _catalogue(db, settings, services)


def _people(db: Session, hashed: dict[str, str]) -> None:
    db.add(Domain(id="default", name="Default", description="The default domain"))
    db.add(Project(id="default", name="Default", domain_id="default", description="The default domain", is_domain=True))
    roles = {name: Role(name=name) for name in ROLES}
    projects = {name: Project(name=name, domain_id="default", parent_id="default") for name in ("admin", "service", "demo")}
    db.add_all([*roles.values(), *projects.values()])
    db.flush()
    db.add_all(ImpliedRole(prior_id=roles[prior].id, implied_id=roles[implied].id) for prior, implied in IMPLIES)
    for name, (project, role) in USERS.items():
        user = User(name=name, domain_id="default", password=hashed[name], default_project_id=projects[project].id)
        db.add(user)
        db.flush()
        db.add(Assignment(actor_id=user.id, target_kind="project", target_id=projects[project].id, role_id=roles[role].id))
        if name == "pilvi-control":
            db.add(Assignment(actor_id=user.id, target_kind="project", target_id=projects[project].id, role_id=roles["service"].id))
        if name == "admin": db.add(Assignment(actor_id=user.id, target_kind="system", target_id=SYSTEM, role_id=roles["admin"].id))
    db.flush()


def _catalogue(db: Session, settings: Settings, services: Sequence[Service]) -> None:
    """One service and three endpoints for each type; addresses follow --listen."""
    if db.get(Region, settings.region) is None: db.add(Region(id=settings.region))
    for service in services:
        for kind in service.types if service.catalogued else ():
            row = db.scalar(select(CatalogueService).where(CatalogueService.type == kind))
            if row is None:
                row = CatalogueService(type=kind, name=NAMES.get(kind, kind))
                db.add(row)
                db.flush()
            _endpoints(db, settings, row.id, (settings.door_url if service.door else f"{settings.url}/{kind}") + service.path)


def _endpoints(db: Session, settings: Settings, service_id: str, url: str) -> None:
    known = {endpoint.interface: endpoint for endpoint in db.scalars(select(Endpoint).where(Endpoint.service_id == service_id))}
    for interface in ("public", "internal", "admin"):
        if interface not in known:
            db.add(Endpoint(service_id=service_id, interface=interface, region_id=settings.region, region=settings.region, url=url))
        elif known[interface].url != url: known[interface].url = url
