"""Domain configuration: options of one domain, in groups: where its users are kept (LDAP), and its rules for passwords.

What is secret lies encrypted with the key of the state folder, and is never shown.

Source: Identity API v3, "Domain Configuration".
"""
from __future__ import annotations

from collections.abc import Callable
from typing import Any

import msgspec
from cryptography.fernet import Fernet
from sqlalchemy.orm import Mapped, Session, mapped_column

from pilvi.core.context import Call
from pilvi.core.db.types import Json
from pilvi.core.errors import Forbidden
from pilvi.core.http import auth
from pilvi.core.http.app import Application
from pilvi.core.http.routes import Route
from pilvi.core.wire import Base
from pilvi.identity import errors
from pilvi.identity.resources.policies import permit
from pilvi.identity.resources.relative import find

DEFAULTS: dict[str, dict[str, Any]] = {
    "identity": {"driver": "sql", "list_limit": None},
    "ldap": {"url": "ldap://localhost", "user": None, "password": None, "suffix": "cn=example,cn=com", "query_scope": "one",
             "page_size": 0, "chase_referrals": None, "use_tls": False, "tls_cacertfile": None, "tls_cacertdir": None,
             "tls_req_cert": "demand", "user_tree_dn": None, "user_filter": None, "user_objectclass": "inetOrgPerson",
             "user_id_attribute": "cn", "user_name_attribute": "sn", "user_description_attribute": "description",
             "user_mail_attribute": "mail", "user_enabled_attribute": "enabled", "user_enabled_mask": 0, "user_enabled_invert": False,
             "user_enabled_default": "True", "group_tree_dn": None, "group_filter": None, "group_objectclass": "groupOfNames",
             "group_id_attribute": "cn", "group_name_attribute": "ou", "group_member_attribute": "member", "group_members_are_ids": False,
             "group_desc_attribute": "description"},
    "security_compliance": {"disable_user_account_days_inactive": None, "lockout_failure_attempts": None, "lockout_duration": 1800,
                            "password_expires_days": None, "unique_last_password_count": 0, "minimum_password_age": 0,
                            "password_regex": None, "password_regex_description": None, "change_password_upon_first_use": False}}
SECRET = {("ldap", "password"), ("ldap", "user")}
KEPT_ELSEWHERE = ("ldap",)
"""Drivers that keep a domain's users in another place; with any other name they are identity's own."""
PUBLIC = ("password_regex", "password_regex_description")
"""What everybody may read of the rules for passwords, to choose one that fits."""


Groups = dict[str, dict[str, Any]]


class DomainConfig(Base):
    __tablename__ = "identity_domain_configs"
    domain_id: Mapped[str] = mapped_column(primary_key=True)
    groups: Mapped[Groups] = mapped_column(Json)
    """Without what is secret"""
    sealed: Mapped[str | None]
    """The same for what is, encrypted"""


def kept_elsewhere(db: Session, domain_id: str) -> bool:
    """Does a directory have the users and groups of the domain?"""
    row = db.get(DomainConfig, domain_id)
    return row is not None and row.groups.get("identity", {}).get("driver") in KEPT_ELSEWHERE


def secrets_included(app: Application, db: Session, domain_id: str) -> Groups:
    """All that is configured of a domain; nothing if there is nothing."""
    row = db.get(DomainConfig, domain_id)
    if row is None: return {}
    secret: Groups = msgspec.json.decode(Fernet(app.state["master_key"]).decrypt(row.sealed.encode())) if row.sealed else {}
    return {group: row.groups.get(group, {}) | secret.get(group, {}) for group in {**row.groups, **secret}}


def _keep(call: Call, row: DomainConfig, groups: Groups) -> None:
    """Writes all options of a domain."""
    assert call.application is not None
    secret = {group: {name: value for name, value in options.items() if (group, name) in SECRET} for group, options in groups.items()}
    secret = {group: options for group, options in secret.items() if options}
    row.groups = _shown(groups)
    row.sealed = Fernet(call.application.state["master_key"]).encrypt(msgspec.json.encode(secret)).decode() if secret else None


def _check(group: str | None, option: str | None = None) -> None:
    """Raises Forbidden for a group or an option that a domain cannot have."""
    if group is not None and group not in DEFAULTS: raise Forbidden(action=f"configure group {group} of a domain")
    if group and option is not None and option not in DEFAULTS[group]:
        raise Forbidden(action=f"configure option {option} in group {group} of a domain")


def _shown(groups: Groups) -> Groups:
    return {group: {name: value for name, value in options.items() if (group, name) not in SECRET} for group, options in groups.items()}


def _row(call: Call, domain_id: str) -> DomainConfig:
    assert call.db is not None
    find(call, "domain", domain_id)
    row = call.db.get(DomainConfig, domain_id)
    if row is None: raise errors.DomainConfigNotFound(id=domain_id)
    return row


def _part(groups: dict[str, dict[str, Any]], domain_id: str, group: str | None, option: str | None) -> dict[str, Any]:
    """The whole, a group or an option, as the API wraps it. Raises DomainConfigNotFound."""
    if group is None: return {"config": groups}
    if group not in groups or (option is not None and option not in groups[group]): raise errors.DomainConfigNotFound(id=domain_id)
    return {"config": {group: groups[group]}} if option is None else {"config": {option: groups[group][option]}}


def show(call: Call, domain_id: str, group: str | None = None, option: str | None = None) -> dict[str, Any]:
    """GET /v3/domains/{domain_id}/config[/{group}[/{option}]]"""
    if group == "security_compliance":
        permit(call, "get_security_compliance_domain_config", domain_id=domain_id)
        return _show_rules(call, domain_id, option)
    permit(call, "get_domain_config", domain_id=domain_id)
    _check(group, option)
    return _part(_row(call, domain_id).groups, domain_id, group, option)


def _show_rules(call: Call, domain_id: str, option: str | None) -> dict[str, Any]:
    """Only what helps to choose a password, of the cloud's own rules, for everybody (upstream has them for the default domain alone)."""
    assert call.application is not None
    if domain_id != "default": raise Forbidden(action="read the security compliance of a domain that is not the default one")
    if option is not None and option not in PUBLIC: raise Forbidden(action=f"read security compliance option {option}")
    rules = {"password_regex": call.application.config.password_regex or None,
             "password_regex_description": call.application.config.password_regex_description or None}
    return {"config": rules if option is None else {option: rules[option]}} if option else {"config": {"security_compliance": rules}}


def create(call: Call, domain_id: str) -> dict[str, Any]:
    """PUT /v3/domains/{domain_id}/config: takes the place of what was there."""
    assert call.db is not None
    permit(call, "create_domain_config", domain_id=domain_id)
    find(call, "domain", domain_id)
    groups: dict[str, dict[str, Any]] = call.body["config"]
    for group, options in groups.items():
        _check(group)
        for option in options: _check(group, option)
    if not groups: raise errors.DomainConfigInvalid(reason="No options specified")
    row = call.db.get(DomainConfig, domain_id) or DomainConfig(domain_id=domain_id)
    _keep(call, row, groups)
    call.db.add(row)
    auth.forget()
    return {"config": _shown(groups)}


def update(call: Call, domain_id: str, group: str | None = None, option: str | None = None) -> dict[str, Any]:
    """PATCH /v3/domains/{domain_id}/config[/{group}[/{option}]]: the body names exactly what the path says."""
    assert call.db is not None and call.application is not None
    permit(call, "update_domain_config", domain_id=domain_id)
    row, asked = _row(call, domain_id), call.body["config"]
    if group is not None:
        _check(group, option)
        if option is not None:
            if list(asked) != [option]: raise errors.DomainConfigInvalid(reason=f"expected only {option} in the body")
            asked = {group: asked}
        elif list(asked) != [group]: raise errors.DomainConfigInvalid(reason=f"expected only group {group} in the body")
        _part(secrets_included(call.application, call.db, domain_id), domain_id, group, option)
    for name, options in asked.items():
        if not isinstance(options, dict): raise errors.DomainConfigInvalid(reason=f"{name} is no group of options")
        for each in options: _check(name, each)
    known = secrets_included(call.application, call.db, domain_id)
    _keep(call, row, {name: known.get(name, {}) | asked.get(name, {}) for name in {**known, **asked}})
    auth.forget()
    return {"config": row.groups}


def delete(call: Call, domain_id: str, group: str | None = None, option: str | None = None) -> None:
    """DELETE /v3/domains/{domain_id}/config[/{group}[/{option}]]"""
    assert call.db is not None and call.application is not None
    permit(call, "delete_domain_config", domain_id=domain_id)
    _check(group, option)
    row, known = _row(call, domain_id), secrets_included(call.application, call.db, domain_id)
    _part(known, domain_id, group, option)
    if group is None: left: Groups = {}
    elif option is None: left = {name: options for name, options in known.items() if name != group}
    else: left = known | {group: {name: value for name, value in known[group].items() if name != option}}
    left = {name: options for name, options in left.items() if options}
    if left: _keep(call, row, left)
    else: call.db.delete(row)
    auth.forget()


def show_defaults(call: Call, group: str | None = None, option: str | None = None) -> dict[str, Any]:
    """GET /v3/domains/config[/{group}[/{option}]]/default"""
    permit(call, "get_domain_config_default")
    _check(group, option)
    return _part(_shown(DEFAULTS), "", group, option)


BODY = {"type": "object", "required": ["config"], "properties": {"config": {"type": "object"}}}
GROUPS = {"type": "object", "required": ["config"], "properties": {"config": {
    "type": "object", "additionalProperties": {"type": "object"}}}}


def _routes(tail: str) -> list[Route]:
    path = "/v3/domains/{domain_id}/config" + tail
    change: Callable[..., Any] = update
    return [Route(path, "GET", show, None, transaction="read"), Route(path, "PATCH", change, None, transaction="write", body=BODY),
            Route(path, "DELETE", delete, None, transaction="write", status=204),
            Route("/v3/domains/config" + tail + "/default", "GET", show_defaults, None)]


ROUTES = [Route("/v3/domains/{domain_id}/config", "PUT", create, None, transaction="write", status=201, body=GROUPS),
          *_routes(""), *_routes("/{group}"), *_routes("/{group}/{option}")]
