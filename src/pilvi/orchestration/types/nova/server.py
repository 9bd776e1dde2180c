"""OS::Nova::Server: a server.

Source: Template Guide, "OS::Nova::Server"; Compute API, "Servers".
"""
from __future__ import annotations

import base64
import re
from collections.abc import Iterable, Mapping
from typing import Any

import msgspec

from pilvi.core.errors import Invalid, NotFound, NotServed
from pilvi.orchestration.template.schema import AllowedValues
from pilvi.orchestration.types.interface import (
    LIST,
    MAP,
    SHOW,
    Attribute,
    ResourceFailed,
    Work,
    boolean,
    list_of,
    map_of,
    string,
)
from pilvi.orchestration.types.neutron.resource import Resources, given, subnets_on
from pilvi.orchestration.types.nova import block_devices, server_facts, server_networks, server_size, user_data
from pilvi.orchestration.types.rest import RestResource, resolve

ID = re.compile("[0-9a-f]{8}-?([0-9a-f]{4}-?){3}[0-9a-f]{12}")
FORMATS = ("HEAT_CFNTOOLS", "RAW", "SOFTWARE_CONFIG")
SNAPSHOT = "snapshot_image_id"
TRANSPORTS = ("POLL_SERVER_CFN", "POLL_SERVER_HEAT", "POLL_TEMP_URL", "ZAQAR_MESSAGE")


class Server(RestResource):
    """Servers wait for all subnets of their networks that the template makes: an address may come from any of them."""
    name = "OS::Nova::Server"
    description = "A server."
    service = requires_service = "compute"
    path, singular = "/v2.1/servers", "server"
    ready = ("ACTIVE",)
    properties = {
        "name": string("Its name.", update=True),
        "image": string("The image it boots from; none if a disk is booted.", update=True, wire="imageRef", refers="glance.image"),
        **block_devices.PROPERTIES,
        "flavor": string("Its size.", required=True, update=True, wire="flavorRef", refers="nova.flavor"),
        "flavor_update_policy": string("What a change of the flavor does.", default="RESIZE", update=True, wire="",
                                       constraints=(AllowedValues(("RESIZE", "REPLACE")),)),
        "image_update_policy": string("What a change of the image does.", default="REBUILD", update=True, wire="",
                                      constraints=(AllowedValues(("REBUILD", "REPLACE", "REBUILD_PRESERVE_EPHEMERAL")),)),
        "key_name": string("The key pair it gets.", refers="nova.keypair"),
        "availability_zone": string("The zone it is to be in."),
        "security_groups": list_of(string(), "The security groups of ports that are made for it.", default=[], wire=""),
        "networks": server_networks.NETWORKS,
        "scheduler_hints": map_of(None, "Wishes to the scheduler.", wire=""),
        "metadata": map_of(None, "Words kept with it; what is no text becomes JSON.", default={}, update=True, wire=""),
        "user_data_format": string("How the user data is sent.", default="HEAT_CFNTOOLS", wire="", constraints=(AllowedValues(FORMATS),)),
        "software_config_transport": string("How the server would learn of software deployments.", default="POLL_SERVER_CFN",
                                            update=True, wire="", constraints=(AllowedValues(TRANSPORTS),)),
        "user_data_update_policy": string("What a change of the user data does.", default="REPLACE", update=True, wire="",
                                          constraints=(AllowedValues(("REPLACE", "IGNORE", "REBUILD")),), since="6.0.0"),
        "user_data": string("What it is told at its start, or the id of a software configuration.", default="", update=True, wire=""),
        "config_drive": boolean("Is it told by a disk, too?"),
        "diskConfig": string("No longer of use.", constraints=(AllowedValues(("AUTO", "MANUAL")),), wire="OS-DCF:diskConfig"),
        "admin_pass": string("The administrator's password.", update=True, wire="adminPass"),
        "tags": list_of(string(), "Words to find it by.", update=True, since="8.0.0"),
        "deployment_swift_data": map_of(None, "Where deployments' data would lie.", default={}, update=True, wire="", since="9.0.0"),
    }
    attributes = {
        "name": Attribute("Its name."),
        "addresses": Attribute("{network's name or id: [address with its port, subnets and network]}.", MAP),
        "networks": Attribute("{network's name or id: [address]}.", MAP),
        "first_address": Attribute("An address of it."),
        "instance_name": Attribute("Its name on the host.", wire="OS-EXT-SRV-ATTR:instance_name"),
        "accessIPv4": Attribute("The IPv4 address that was written down for it."),
        "accessIPv6": Attribute("The IPv6 address that was written down for it."),
        "console_urls": Attribute("{kind of console: URL}.", MAP),
        "tags": Attribute("Words to find it by.", LIST),
        "os_collect_config": Attribute("What its agent for software deployments is to know.", MAP),
        "show": SHOW,
    }

    # -- before there is anything

    def validate(self, properties: Mapping[str, Any]) -> None:
        block_devices.validate(properties)
        server_networks.validate(properties)

    def hidden_requirements(self, name: str, resources: Resources) -> Iterable[str]:
        entries = resources[name][1].get("networks")
        if not isinstance(entries, list): return
        for entry in entries:
            if isinstance(entry, Mapping): yield from subnets_on(resources, given(entry, "network", "uuid"))

    # -- the life

    def create(self, work: Work) -> None:
        if work.physical_id: return
        if not server_networks.take_from_predecessor(work): return
        if work.properties["user_data_format"] == "SOFTWARE_CONFIG": work.metadata.setdefault("deployments", [])
        super().create(work)

    def created(self, work: Work) -> bool:
        if not work.physical_id:
            self.create(work)
            return False
        if not self._settled(self.shown(work)): return False
        server_networks.remember(work)
        return True

    def body(self, work: Work) -> dict[str, Any]:
        given = work.properties
        body = {**super().body(work), "metadata": _words(given["metadata"]), "networks": server_networks.nics(work)}
        resolved = {name: resolve(work, rules, given[name]) for name, rules in block_devices.PROPERTIES.items()}
        if disks := block_devices.devices({**given, **resolved}): body["block_device_mapping_v2"] = disks
        if given["security_groups"]: body["security_groups"] = [{"name": one} for one in given["security_groups"]]
        if given["scheduler_hints"]: body["scheduler_hints"] = given["scheduler_hints"]
        if text := _user_data(work): body["user_data"] = base64.b64encode(text.encode()).decode()
        return body

    def wrapped(self, body: dict[str, Any]) -> dict[str, Any]:
        hints = body.pop("scheduler_hints", None)
        return super().wrapped(body) | ({"os:scheduler_hints": hints} if hints else {})

    def made_before(self, work: Work, body: Mapping[str, Any]) -> dict[str, Any] | None:
        found = work.ask("compute", "GET", "/v2.1/servers/detail", name=f"^{re.escape(body['name'])}$")["servers"]
        return self.fresh(work, found, body["name"])

    def needs_replacement(self, work: Work, changes: Mapping[str, Any]) -> bool:
        policies = {**work.properties, **changes}
        return any(name in changes and policies[f"{name}_update_policy"] == "REPLACE" for name in ("flavor", "image", "user_data"))

    def update(self, work: Work, changes: Mapping[str, Any]) -> None:
        policies = {**work.properties, **changes}
        if "user_data" in changes and policies["user_data_update_policy"] == "REBUILD":
            raise NotServed(what="rebuilding of servers for new user data; give user_data_update_policy: REPLACE")
        if "admin_pass" in changes: raise NotServed(what="changing of a running server's password")
        item = self.item(work)
        if "name" in changes: work.ask("compute", "PUT", item, {"server": {"name": changes["name"] or work.physical_name}})
        if "metadata" in changes: work.ask("compute", "PUT", f"{item}/metadata", {"metadata": _words(changes["metadata"])})
        if "tags" in changes: work.ask("compute", "PUT", f"{item}/tags", {"tags": changes["tags"] or []})
        if "image" in changes: self._rebuild(work, changes["image"])
        if "networks" in changes: server_networks.plan_change(work, changes["networks"])
        if "flavor" in changes: server_size.ask_for(work, item, self._flavor(work, changes))

    def _rebuild(self, work: Work, image: str | None) -> None:
        """Asks for it, unless that was done before: the server shows the image that it is rebuilt of at once."""
        if not image: raise Invalid("A server that boots from an image cannot be changed into one that does not.")
        wanted, server = resolve(work, self.properties["image"], image), self.shown(work)
        if (server["image"] or {}).get("id") == wanted and server["status"] != "ERROR": return
        work.ask("compute", "POST", f"{self.item(work)}/action", {"rebuild": {"imageRef": wanted}})

    def updated(self, work: Work, changes: Mapping[str, Any]) -> bool:
        if "image" in changes:
            server = self.shown(work)
            if server["OS-EXT-STS:task_state"] is not None: return False
            if server["status"] == "ERROR": raise _failure(server)
        if "flavor" in changes and not server_size.reached(work, self.item(work), self._flavor(work, changes)): return False
        return "networks" not in changes or server_networks.changed(work)

    def _flavor(self, work: Work, changes: Mapping[str, Any]) -> str:
        return str(resolve(work, self.properties["flavor"], changes["flavor"]))

    def deleted(self, work: Work) -> bool:
        if work.physical_id:
            try: server = self.shown(work)
            except NotFound: pass
            else:
                if server["status"] == "ERROR" and server["OS-EXT-STS:task_state"] is None: raise _failure(server)
                return False
        server_networks.end_own_ports(work)
        server_networks.give_back(work)
        return True

    def check(self, work: Work) -> None:
        if not self._settled(self.shown(work)): raise ResourceFailed(status=self.shown(work)["status"], reason="it is not ACTIVE")

    def suspend(self, work: Work) -> None:
        self._act(work, "suspend", "SUSPENDED")

    def suspended(self, work: Work) -> bool:
        return self._came_to(work, "SUSPENDED", "ACTIVE")

    def resume(self, work: Work) -> None:
        self._act(work, "resume", "ACTIVE")

    def resumed(self, work: Work) -> bool:
        return self._came_to(work, "ACTIVE", "SUSPENDED")

    def _act(self, work: Work, action: str, end: str) -> None:
        """Asks for it, unless that was done before."""
        server = self.shown(work)
        if server["status"] == end or server["OS-EXT-STS:task_state"] is not None: return
        work.ask("compute", "POST", f"{self.item(work)}/action", {action: None})

    def _came_to(self, work: Work, end: str, before: str) -> bool:
        """Did the action end well? It has failed where nothing is being done and the server is what it was."""
        server = self.shown(work)
        if server["OS-EXT-STS:task_state"] is not None: return False
        if server["status"] == end: return True
        if server["status"] == before: raise ResourceFailed(status=before, reason="the host could not do it")
        raise _failure(server)

    def snapshot(self, work: Work) -> dict[str, Any]:
        """An image of it; one that was asked for before a crash is the one."""
        asked = work.ask("image", "GET", "/v2/images", instance_uuid=work.physical_id)["images"] if work.again else []
        if found := self.fresh(work, asked, work.physical_name): return {SNAPSHOT: found["id"]}
        made = work.ask("compute", "POST", f"{self.item(work)}/action", {"createImage": {"name": work.physical_name}})
        return {SNAPSHOT: made["image_id"]}

    def snapshotted(self, work: Work, data: dict[str, Any]) -> bool:
        try: return bool(work.ask("image", "GET", f"/v2/images/{data[SNAPSHOT]}")["status"] == "active")
        except NotFound: raise ResourceFailed(status="killed", reason="the host could not make its image") from None

    def restored_properties(self, work: Work, data: dict[str, Any]) -> Mapping[str, Any]:
        return {"image": data[SNAPSHOT]}

    def delete_snapshot(self, work: Work, data: dict[str, Any]) -> None:
        try: work.ask("image", "DELETE", f"/v2/images/{data[SNAPSHOT]}")
        except NotFound: pass

    def failed_needs_replacement(self, work: Work) -> bool:
        if not work.physical_id: return True
        try: return self.shown(work)["status"] in ("ERROR", "DELETED", "SOFT_DELETED")
        except NotFound: return True

    # -- questions

    def attribute(self, work: Work, name: str) -> Any:
        server = self.shown(work)
        if name == "addresses": return server_facts.addresses(work)
        if name == "networks": return server_facts.networks(work, server)
        if name == "first_address": return server_facts.first_address(server)
        if name == "console_urls": return server_facts.console_urls(work)
        if name == "os_collect_config": return work.metadata.get("os-collect-config", {})
        return server if name == "show" else server.get(self.attributes[name].wire or name)

    def _settled(self, server: Mapping[str, Any]) -> bool:
        if server["status"] in ("ERROR", "DELETED"): raise _failure(server)
        return bool(server["status"] == "ACTIVE")


def _failure(server: Mapping[str, Any]) -> ResourceFailed:
    fault = server.get("fault") or {}
    reason = f"Message: {fault.get('message', 'Unknown')}, Code: {fault.get('code', 'Unknown')}"
    return ResourceFailed(status=server["status"], reason=reason)


def _words(metadata: Mapping[str, Any] | None) -> dict[str, str]:
    """Metadata as the API keeps it: text. What is no text becomes JSON."""
    return {key: value if isinstance(value, str) else msgspec.json.encode(value).decode() for key, value in (metadata or {}).items()}


def _user_data(work: Work) -> str:
    text, style = work.properties["user_data"] or "", work.properties["user_data_format"]
    if style != "HEAT_CFNTOOLS" and ID.fullmatch(text):
        try: text = work.ask("orchestration", "GET", f"/v1/{work.project_id}/software_configs/{text}")["software_config"]["config"]
        except (NotFound, Invalid): pass  # it only looks like the id of a software configuration
    return user_data.build(text, style, work.metadata) if text or work.metadata else ""
