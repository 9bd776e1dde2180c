"""What a guest reads at 169.254.169.254."""
from __future__ import annotations

import json

import pytest

from pilvi.compute.metadata import Facts, answer

FACTS: Facts = {
    "uuid": "83679162-1378-4288-a2d4-70e13ec132aa", "name": "web 1", "hostname": "web-1", "project_id": "p1", "launch_index": 2,
    "availability_zone": "nova", "public_keys": {"mine": "ssh-ed25519 AAAA mine"}, "meta": {"role": "web"}, "user_data": b"#!/bin/sh\n\xff",
    "network_data": {"links": [{"id": "tap1"}]}, "vendor_data": {"a": 1}, "random_seed": "c2VlZA==", "fixed_ips": ["10.0.0.5"],
    "floating_ips": ["203.0.113.9"], "security_groups": ["default", "web"], "flavor": "m1.tiny", "image_id": "70a599e0-31e7",
    "reservation_id": "r-abc", "admin_pass": "secret",
}


def lines(path: str, facts: Facts = FACTS) -> list[str]:
    status, kind, body = answer(path, facts)
    assert (status, kind) == (200, "text/plain; charset=utf-8")
    return body.decode().splitlines()


def document(path: str, facts: Facts = FACTS) -> dict[str, object]:
    status, kind, body = answer(path, facts)
    assert (status, kind) == (200, "application/json")
    found = json.loads(body)
    assert isinstance(found, dict)
    return found


def test_the_openstack_tree_lists_its_versions_and_what_each_has():
    assert lines("/openstack")[0] == "2012-08-10" and lines("/openstack/")[-1] == "latest"
    assert lines("/openstack/2012-08-10") == ["meta_data.json", "user_data"]
    assert lines("/openstack/2013-04-04") == ["meta_data.json", "user_data", "password"]
    assert lines("/openstack/latest/") == ["meta_data.json", "user_data", "password", "vendor_data.json", "network_data.json",
                                           "vendor_data2.json"]


def test_meta_data_of_the_latest_version():
    assert document("/openstack/latest/meta_data.json") == {
        "uuid": FACTS["uuid"], "name": "web 1", "hostname": "web-1", "launch_index": 2, "availability_zone": "nova", "project_id": "p1",
        "devices": [], "dedicated_cpus": [], "public_keys": {"mine": "ssh-ed25519 AAAA mine"}, "meta": {"role": "web"},
        "keys": [{"name": "mine", "type": "ssh", "data": "ssh-ed25519 AAAA mine"}], "random_seed": "c2VlZA=="}


@pytest.mark.parametrize(("field", "since", "before"), [
    ("random_seed", "2013-04-04", "2012-08-10"), ("project_id", "2015-10-15", "2013-10-17"), ("devices", "2016-06-30", "2015-10-15")])
def test_a_field_appears_in_the_version_that_brought_it(field, since, before):
    assert field in document(f"/openstack/{since}/meta_data.json")
    assert field not in document(f"/openstack/{before}/meta_data.json")


def test_other_documents():
    assert document("/openstack/latest/network_data.json") == {"links": [{"id": "tap1"}]}
    assert document("/openstack/latest/vendor_data.json") == {"a": 1}
    assert document("/openstack/latest/vendor_data2.json") == {}
    assert answer("/openstack/latest/user_data", FACTS) == (200, "application/octet-stream", b"#!/bin/sh\n\xff")
    assert answer("/openstack/latest/password", FACTS)[2] == b""


def test_the_administrators_password_is_not_told_over_the_network():
    for name in lines("/openstack/latest"):
        assert b"secret" not in answer(f"/openstack/latest/{name}", FACTS)[2]


@pytest.mark.parametrize("path", [
    "/openstack/2031-01-01", "/openstack/latest/nothing", "/openstack/latest/meta_data.json/x", "/2001-01-01/meta-data", "/latest/nothing",
    "/latest/meta-data/hostname/x", "/latest/meta-data/public-keys/0/_name", "/openstack/2012-08-10/network_data.json"])
def test_what_is_not_there(path):
    assert answer(path, FACTS)[0] == 404


def test_without_user_data_and_keys():
    bare: Facts = {"uuid": "83679162", "name": "a", "hostname": "a", "project_id": "p"}
    assert answer("/openstack/latest/user_data", bare)[0] == answer("/latest/user-data", bare)[0] == 404
    assert "user_data" not in lines("/openstack/latest", bare)
    assert lines("/latest", bare) == ["meta-data/"]
    assert "public-keys/" not in lines("/latest/meta-data/", bare)


def test_the_ec2_tree():
    assert lines("/") == lines("/ec2")
    assert lines("/")[0] == "1.0" and lines("/")[-1] == "latest"
    assert lines("/latest") == ["meta-data/", "user-data"]
    assert answer("/2009-04-04/user-data", FACTS)[2] == b"#!/bin/sh\n\xff"
    listed = lines("/2009-04-04/meta-data/")
    assert {"ami-id", "instance-id", "block-device-mapping/", "placement/", "public-keys/", "public-ipv4"} <= set(listed)
    for path, said in {"instance-id": "i-83679162", "ami-id": "ami-70a599e0", "local-ipv4": "10.0.0.5", "public-ipv4": "203.0.113.9",
                       "security-groups": "default\nweb", "placement/availability-zone": "nova", "instance-type": "m1.tiny",
                       "public-keys/": "0=mine", "public-keys/0": "openssh-key", "public-keys/0/openssh-key": "ssh-ed25519 AAAA mine",
                       "block-device-mapping/root": "/dev/vda", "ami-launch-index": "2"}.items():
        assert answer(f"/latest/meta-data/{path}", FACTS)[2].decode() == said, path


def test_old_ec2_versions_have_less():
    assert "placement/" not in lines("/2007-12-15/meta-data")
    assert "public-ipv4" not in lines("/1.0/meta-data")
    assert answer("/1.0/meta-data/public-ipv4", FACTS)[0] == 404
