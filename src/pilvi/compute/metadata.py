"""What a server is told about itself, as the metadata service (169.254.169.254) and the config drive give it.

Pure: facts in, documents out. Source: nova documentation, "Metadata"; EC2 "Instance metadata" as far as nova serves it.
"""
from __future__ import annotations

import json
import posixpath
from typing import Any, NotRequired, Required, TypedDict

# The versions in which something was added; a server asking for one gets what existed then.
OPENSTACK_VERSIONS = ("2012-08-10", "2013-04-04", "2013-10-17", "2015-10-15", "2016-06-30", "2016-10-06", "2017-02-22", "2018-08-27",
                      "2020-10-14")
EC2_VERSIONS = ("1.0", "2007-01-19", "2007-03-01", "2007-08-29", "2007-10-10", "2007-12-15", "2008-02-01", "2008-09-01", "2009-04-04")

TEXT = "text/plain; charset=utf-8"
JSON = "application/json"
BINARY = "application/octet-stream"

_OPENSTACK_SINCE = {
    "meta_data.json": "2012-08-10", "user_data": "2012-08-10", "password": "2013-04-04", "vendor_data.json": "2013-10-17",
    "network_data.json": "2015-10-15", "vendor_data2.json": "2016-10-06",
}
_META_DATA_SINCE = {"random_seed": "2013-04-04", "project_id": "2015-10-15", "devices": "2016-06-30", "dedicated_cpus": "2020-10-14"}
_EC2_SINCE = {
    "local-hostname": "2007-01-19", "public-hostname": "2007-01-19", "public-ipv4": "2007-01-19", "instance-type": "2007-08-29",
    "block-device-mapping": "2007-12-15", "placement": "2008-02-01", "instance-action": "2008-09-01",
}


class Facts(TypedDict, total=False):
    """What is to be told. What is absent is not told, or told to be empty where the format wants something."""
    uuid: Required[str]
    name: Required[str]
    hostname: Required[str]
    project_id: Required[str]
    launch_index: int
    availability_zone: str
    public_keys: dict[str, str]
    """{name: public key}"""
    meta: dict[str, str]
    user_data: bytes | None
    network_data: dict[str, Any]
    vendor_data: dict[str, Any]
    vendor_data2: dict[str, Any]
    devices: list[dict[str, Any]]
    dedicated_cpus: list[int]
    random_seed: str
    """base64"""
    admin_pass: str
    """Told by the config drive only: there the reader must already be inside."""
    password: str
    """What the guest has posted: its password, encrypted with the server's key."""
    fixed_ips: list[str]
    floating_ips: list[str]
    security_groups: list[str]
    flavor: str
    image_id: str
    reservation_id: str
    root_device: NotRequired[str]
    """/dev/vda unless told."""


class _Absent(Exception):
    pass


Answer = tuple[int, str, bytes]
"""Status, content type, body."""


def answer(path: str, facts: Facts) -> Answer:
    """What the service says to a GET of this path."""
    words = [word for word in posixpath.normpath("/" + path).split("/") if word]
    try:
        if not words: return _listing([*EC2_VERSIONS, "latest"])
        if words[0] == "openstack": return _openstack(words[1:], facts)
        return _ec2(words[1:] if words[0] == "ec2" else words, facts)
    except _Absent:
        return 404, TEXT, b"404 Not Found\n\nThe resource could not be found.\n"


def openstack_documents(version: str, facts: Facts) -> dict[str, tuple[str, bytes]]:
    """{name: (content type, body)} of a version (or "latest") of the OpenStack tree, in the order in which it is listed."""
    at = OPENSTACK_VERSIONS[-1] if version == "latest" else version
    found: dict[str, tuple[str, bytes]] = {"meta_data.json": _json(_meta_data(at, facts))}
    user_data = facts.get("user_data")
    if user_data is not None: found["user_data"] = BINARY, user_data
    found["password"] = TEXT, facts.get("password", "").encode()
    found["vendor_data.json"] = _json(facts.get("vendor_data", {}))
    found["network_data.json"] = _json(facts.get("network_data", {}))
    found["vendor_data2.json"] = _json(facts.get("vendor_data2", {}))
    return {name: document for name, document in found.items() if at >= _OPENSTACK_SINCE[name]}


def ec2_meta_data(version: str, facts: Facts) -> dict[str, Any]:
    """The tree below meta-data of a version (or "latest")."""
    at = EC2_VERSIONS[-1] if version == "latest" else version
    fixed, floating = facts.get("fixed_ips", []), facts.get("floating_ips", [])
    root = facts.get("root_device", "/dev/vda")
    tree: dict[str, Any] = {
        # nova numbers servers and images in the whole cloud for EC2's sake; a part of the id does as well and needs no table
        "ami-id": f"ami-{facts.get('image_id', '0' * 8)[:8]}", "instance-id": f"i-{facts['uuid'][:8]}", "ami-manifest-path": "FIXME",
        "ami-launch-index": str(facts.get("launch_index", 0)), "hostname": facts["hostname"], "local-ipv4": fixed[0] if fixed else "",
        "reservation-id": facts.get("reservation_id", ""), "security-groups": list(facts.get("security_groups", [])),
        "local-hostname": facts["hostname"], "public-hostname": facts["hostname"], "public-ipv4": floating[0] if floating else "",
        "instance-type": facts.get("flavor", ""), "block-device-mapping": {"ami": root.removeprefix("/dev/"), "root": root},
        "placement": {"availability-zone": facts.get("availability_zone", "")}, "instance-action": "none",
    }
    keys = facts.get("public_keys", {})
    if keys:
        tree["public-keys"] = {str(number): {"_name": f"{number}={name}", "openssh-key": key}
                               for number, (name, key) in enumerate(keys.items())}
    return {name: value for name, value in tree.items() if at >= _EC2_SINCE.get(name, EC2_VERSIONS[0])}


def _meta_data(version: str, facts: Facts) -> dict[str, Any]:
    keys = facts.get("public_keys", {})
    document: dict[str, Any] = {
        "uuid": facts["uuid"], "name": facts["name"], "hostname": facts["hostname"], "launch_index": facts.get("launch_index", 0),
        "availability_zone": facts.get("availability_zone", ""), "project_id": facts["project_id"], "devices": facts.get("devices", []),
        "dedicated_cpus": facts.get("dedicated_cpus", []),
    }
    if keys:
        document["public_keys"] = keys
        document["keys"] = [{"name": name, "type": "ssh" if key.startswith(("ssh-", "ecdsa-", "sk-")) else "x509", "data": key}
                            for name, key in keys.items()]
    if facts.get("meta"): document["meta"] = facts["meta"]
    if "random_seed" in facts: document["random_seed"] = facts["random_seed"]
    return {name: value for name, value in document.items() if version >= _META_DATA_SINCE.get(name, OPENSTACK_VERSIONS[0])}


def _openstack(words: list[str], facts: Facts) -> Answer:
    if not words: return _listing([*OPENSTACK_VERSIONS, "latest"])
    version, *rest = words
    if version not in (*OPENSTACK_VERSIONS, "latest"): raise _Absent
    documents = openstack_documents(version, facts)
    if not rest: return _listing(documents)
    if len(rest) != 1 or rest[0] not in documents: raise _Absent
    return 200, *documents[rest[0]]


def _ec2(words: list[str], facts: Facts) -> Answer:
    if not words: return _listing([*EC2_VERSIONS, "latest"])
    version, *rest = words
    if version not in (*EC2_VERSIONS, "latest"): raise _Absent
    tree: dict[str, Any] = {"meta-data": ec2_meta_data(version, facts)}
    user_data = facts.get("user_data")
    if user_data is not None: tree["user-data"] = user_data
    value: Any = tree
    for word in rest:
        if not isinstance(value, dict) or word not in value or word == "_name": raise _Absent
        value = value[word]
    if isinstance(value, bytes): return 200, BINARY, value
    if isinstance(value, dict): return _listing(_entry(name, below) for name, below in sorted(value.items()) if name != "_name")
    return _listing(value) if isinstance(value, list) else (200, TEXT, str(value).encode())


def _entry(name: str, below: Any) -> str:
    """A line of an EC2 listing: a folder ends in a slash, a key is called `0=its name`."""
    if not isinstance(below, dict): return name
    return str(below["_name"]) if "_name" in below else f"{name}/"


def _listing(lines: Any) -> Answer:
    return 200, TEXT, "\n".join(lines).encode()


def _json(value: Any) -> tuple[str, bytes]:
    return JSON, json.dumps(value).encode()
