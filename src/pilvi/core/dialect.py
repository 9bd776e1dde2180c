"""The manners of one OpenStack API family as a value: envelopes, error bodies, paging, verbs, status codes, time format, link style.

Sources: the API references and, for error bodies and page links, the upstream sources (nova, cinder, neutron, keystone, glance, placement).
"""
from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from http import HTTPStatus
from typing import Any

from pilvi.core import clock
from pilvi.core.errors import Failure

Body = dict[str, Any]
NOVA_CODES = {400: "badRequest", 401: "unauthorized", 403: "forbidden", 404: "itemNotFound", 405: "badMethod", 406: "notAcceptable",
              409: "conflictingRequest", 413: "overLimit", 415: "badMediaType", 429: "overLimit", 501: "notImplemented",
              503: "serviceUnavailable"}


@dataclass(frozen=True)
class Dialect:
    """How one family speaks. `paging`: names of the page links ("links_list", "links_object", "next", "none")."""
    name: str
    error: Callable[[Failure, int, str], Body]
    """(failure, status, request id) → error body"""
    envelope: bool = True
    update: str = "PUT"
    paging: str = "none"
    admin_sees_all: bool = True
    """False: an administrator sees other projects' things only with ?all_tenants=1."""
    detail: bool = False
    """Lists have a short form at the path and a long one at path/detail."""
    bulk: bool = False
    """POST of {"plural": [...]} makes several."""
    status: dict[str, int] = field(default_factory=dict)
    time: Callable[[float], str] = clock.iso
    aliases: dict[str, str] = field(default_factory=dict)
    """Other names of attributes: {alias: attribute}."""
    self_links: str | None = None
    """nova, keystone: how each item links to itself."""
    page_limit: int | None = None
    """The most items on a page, and the number when no limit is asked."""
    nested_target: bool = False
    """Policy rules speak of `target.<resource>.<attribute>`, policy is asked before a thing's absence is told, and a token of a domain
    lists what is in that domain (keystone)."""
    unknown_fields: str = "refuse"
    """refuse, or keep (keystone's extras)."""
    rule: Callable[[str, str, str, str], str] = lambda service, singular, plural, verb: f"{service}:{verb}_{singular}"
    """(service, singular, plural, verb) → the policy rule's upstream name."""
    event: str = "{name}.{verb}.end"
    """The type of the event that tells of a create, update or delete."""


def reason_phrase(status: int) -> str:
    """Not Found for 404."""
    try: return HTTPStatus(status).phrase
    except ValueError: return "Error"


def _nova_error(failure: Failure, status: int, request_id: str) -> Body:
    inner: Body = {"code": status, "message": failure.message}
    if status == 406: inner |= {key: failure.facts[key] for key in ("least", "most") if key in failure.facts}
    return {NOVA_CODES.get(status, "computeFault"): inner}


def _neutron_error(failure: Failure, status: int, request_id: str) -> Body:
    return {"NeutronError": {"type": failure.code or type(failure).__name__, "message": failure.message, "detail": ""}}


def _keystone_error(failure: Failure, status: int, request_id: str) -> Body:
    return {"error": {"code": status, "message": failure.message, "title": reason_phrase(status)}}


def _glance_error(failure: Failure, status: int, request_id: str) -> Body:
    return {"code": status, "title": reason_phrase(status), "message": failure.message}


def _telemetry_error(failure: Failure, status: int, request_id: str) -> Body:
    """For the clients of the metric API (`description`, text or an object) and of the alarm API (`error_message`) at once."""
    description = failure.facts.get("description", failure.message)
    if "problem" in failure.facts: description = {"cause": "Invalid input", "reason": failure.facts["problem"], "detail": []}
    return {"code": status, "title": reason_phrase(status), "description": description,
            "error_message": {"debuginfo": None, "faultcode": "Server" if status >= 500 else "Client", "faultstring": failure.message}}


HEAT_EXPLANATIONS = {
    400: "The server could not comply with the request since it is either malformed or otherwise incorrect.",
    401: "This server could not verify that you are authorized to access the document you requested. Either you supplied the wrong "
         "credentials (e.g., bad password), or your browser does not understand how to supply the credentials required.",
    403: "Access was denied to this resource.", 404: "The resource could not be found.",
    409: "There was a conflict when trying to complete your request."}


def _heat_error(failure: Failure, status: int, request_id: str) -> Body:
    kind = failure.code or ("HTTP" + reason_phrase(status).replace(" ", ""))
    return {"code": status, "title": reason_phrase(status), "explanation": HEAT_EXPLANATIONS.get(status, reason_phrase(status)),
            "error": {"message": failure.message, "type": kind, "traceback": None}}


def _as_jsonschema(problem: str, keyword: str | None, schema: list[str], **others: Any) -> str:
    """A violation in the words of Python's jsonschema, which placement's clients look for."""
    if keyword is None: return f"Malformed JSON: {problem}"
    problem = problem.replace('"', "'").replace("has less than 1 property", "does not have enough properties")
    if keyword == "additionalProperties": problem += " (it does not match any of the regexes, if there are any)"
    return f"JSON does not validate: {problem}\n\nFailed validating '{keyword}' in schema{''.join(f'[{step!r}]' for step in schema)}"


def _placement_error(failure: Failure, status: int, request_id: str) -> Body:
    detail = _as_jsonschema(**failure.facts) if "problem" in failure.facts else failure.message
    return {"errors": [{"status": status, "title": reason_phrase(status), "detail": detail, "request_id": request_id,
                        "code": failure.code or "placement.undefined_code"} | failure.facts.get("extra", {})]}


def _rule(names: dict[str, str], prefix: str) -> Callable[[str, str, str, str], str]:
    def name(service: str, singular: str, plural: str, verb: str) -> str:
        form = names.get(verb, "{verb}_{singular}")
        return prefix + form.format(singular=singular, plural=plural, verb=verb)

    return name


NOVA = Dialect("nova", _nova_error, paging="links_list", admin_sees_all=False, detail=True, self_links="list", page_limit=1000,
               status={"create": 200, "update": 200, "delete": 202},
               rule=_rule({"list": "{plural}:index", "show": "{plural}:show", "create": "{plural}:create", "update": "{plural}:update",
                           "delete": "{plural}:delete"}, "os_compute_api:"))
CINDER = Dialect("cinder", _nova_error, paging="links_list", admin_sees_all=False, detail=True, self_links="list", page_limit=1000,
                 status={"create": 202, "update": 200, "delete": 202}, time=lambda t: clock.iso(t, fraction=True, zone=""),
                 rule=_rule({"list": "get_all_{plural}", "show": "get_{singular}"}, "volume:"))
NEUTRON = Dialect("neutron", _neutron_error, paging="links_list", bulk=True, aliases={"tenant_id": "project_id"},
                  status={"create": 201, "update": 200, "delete": 204},
                  rule=_rule({"list": "get_{singular}", "show": "get_{singular}"}, ""))
KEYSTONE = Dialect("keystone", _keystone_error, update="PATCH", paging="links_object", self_links="object", unknown_fields="keep",
                   nested_target=True, status={"create": 201, "update": 200, "delete": 204}, time=lambda t: clock.iso(t, fraction=True),
                   rule=_rule({"list": "list_{plural}", "show": "get_{singular}"}, "identity:"), event="identity.{name}.{verb}d")
GLANCE = Dialect("glance", _glance_error, envelope=False, update="PATCH", paging="next", page_limit=1000,
                 status={"create": 201, "update": 200, "delete": 204},
                 rule=_rule({"list": "get_{plural}", "show": "get_{singular}", "create": "add_{singular}", "update": "modify_{singular}"},
                            ""), event="{name}.{verb}")
PLACEMENT = Dialect("placement", _placement_error, envelope=False, status={"create": 201, "update": 200, "delete": 204},
                    rule=_rule({}, "placement:"))
TELEMETRY = Dialect("telemetry", _telemetry_error, envelope=False, update="PATCH", page_limit=1000,
                    time=lambda t: clock.iso(t, zone="+00:00"), status={"create": 201, "update": 200, "delete": 204},
                    rule=lambda service, singular, plural, verb: f"telemetry:{verb}_{singular}")
HEAT = Dialect("heat", _heat_error, envelope=False, page_limit=None, status={"create": 201, "update": 202, "delete": 204},
               rule=_rule({"list": "{plural}:index", "show": "{plural}:show", "create": "{plural}:create", "update": "{plural}:update",
                           "delete": "{plural}:delete"}, ""))
