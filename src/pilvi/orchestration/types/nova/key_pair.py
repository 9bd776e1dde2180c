"""OS::Nova::KeyPair: a public key that servers get, and, if none is given, the private one to it."""
from __future__ import annotations

from typing import Any

from pilvi.core.errors import Conflict, NotFound
from pilvi.core.http.client import send
from pilvi.orchestration.template.schema import AllowedValues, Length
from pilvi.orchestration.types.interface import SHOW, Attribute, Work, boolean, string
from pilvi.orchestration.types.rest import RestResource

GENERATES = {"openstack-api-version": "compute 2.90"}
"""Later microversions no longer make keys."""


class KeyPair(RestResource):
    """Key pairs belong to a user and are known by their name, so a replacement needs the old one gone."""
    name = "OS::Nova::KeyPair"
    description = "A key pair for signing in to servers."
    service = requires_service = "compute"
    path, singular = "/v2.1/os-keypairs", "keypair"
    properties = {
        "name": string("Its name.", required=True, constraints=(Length(1, 255),)),
        "save_private_key": boolean("Keep a private key that was made, for the attribute private_key?", default=False, wire=""),
        "public_key": string("The public key; not given: a pair is made."),
        "type": string("The kind of key.", constraints=(AllowedValues(("ssh", "x509")),), since="8.0.0"),
        "user": string("The user that is to own it, for administrators.", wire="user_id", refers="keystone.user", since="9.0.0"),
    }
    attributes = {"public_key": Attribute("The public key."), "private_key": Attribute("The private key, if it was made and kept."),
                  "show": SHOW}

    def create(self, work: Work) -> None:
        if work.physical_id: return
        body = {"keypair": self.body(work)}
        try: made = self._make(work, body)
        except Conflict:
            if not self._end_predecessor(work): raise
            made = self._make(work, body)
        if work.properties["save_private_key"]: work.data["private_key"] = made.get("private_key", "")
        work.physical_id, work.data["fingerprint"] = made["name"], made["fingerprint"]

    def delete(self, work: Work) -> None:
        """The name may be a successor's already, so the fingerprint must fit."""
        if not work.physical_id: return
        try:
            if self.shown(work)["fingerprint"] != work.data.get("fingerprint"): return
            work.ask("compute", "DELETE", self.item(work), **self._owner(work))
        except NotFound: pass

    def _make(self, work: Work, body: dict[str, Any]) -> dict[str, Any]:
        """One that an earlier try has made is ended first: its private key has been told to nobody."""
        if work.again and not (work.engine and work.engine.known(body["keypair"]["name"])):
            try: work.ask("compute", "DELETE", f"{self.path}/{body['keypair']['name']}", **self._owner(work))
            except NotFound: pass
        made: dict[str, Any] = send(work.call, "compute", "POST", self.path, body=body, headers=GENERATES).json()["keypair"]
        return made

    def _end_predecessor(self, work: Work) -> bool:
        """Was the name that of the pair which this one replaces?"""
        old = work.engine.sibling(work, work.properties["name"]) if work.engine else None
        if old is None or (old.stack_id, old.name) != (work.stack_id, work.name) or old.resource_id == work.resource_id: return False
        self.delete(old)
        return True

    def attribute(self, work: Work, name: str) -> Any:
        if name == "private_key": return work.data.get("private_key", "")
        return super().attribute(work, name)

    def shown(self, work: Work) -> dict[str, Any]:
        shown: dict[str, Any] = work.ask("compute", "GET", self.item(work), **self._owner(work))["keypair"]
        return shown

    def _owner(self, work: Work) -> dict[str, str]:
        wanted = self.wired(work, {"user": work.properties["user"]})["user_id"]
        return {"user_id": wanted} if wanted else {}
