"""The config drive's files and image. (That a guest can read it: tests/compute/drivers/qemu/test_driver.py.)"""
from __future__ import annotations

import io
import json
from pathlib import Path

from pycdlib import PyCdlib

from pilvi.compute.agent.config_drive import files, write
from pilvi.compute.metadata import Facts, answer

FACTS: Facts = {"uuid": "83679162-1378", "name": "web", "hostname": "web", "project_id": "p", "user_data": b"#!/bin/sh\n",
                "public_keys": {"mine": "ssh-rsa A"}, "network_data": {"links": []}, "admin_pass": "secret"}


def test_it_tells_what_the_service_tells():
    found = files(FACTS)
    documents = ("meta_data.json", "user_data", "vendor_data.json", "vendor_data2.json", "network_data.json")
    assert set(found) == {f"openstack/latest/{name}" for name in documents} | {"ec2/latest/meta-data.json", "ec2/latest/user-data"}
    told = json.loads(found["openstack/latest/meta_data.json"])
    assert told.pop("admin_pass") == "secret"
    assert told == json.loads(answer("/openstack/latest/meta_data.json", FACTS)[2])
    ec2 = json.loads(found["ec2/latest/meta-data.json"])
    assert ec2["instance-id"] == "i-83679162" and ec2["public-keys"] == {"0": {"openssh-key": "ssh-rsa A"}}


def test_the_image_has_label_names_and_contents(tmp_path: Path):
    wanted = {**files(FACTS), "openstack/latest/a-name_with.two.dots": b"x" * 5000, "top": b""}
    write(tmp_path / "drive", wanted)
    image = PyCdlib()
    image.open(str(tmp_path / "drive"))
    try:
        assert image.pvd.volume_identifier.decode().rstrip() == "config-2"
        for way in ("rr_path", "joliet_path"):
            for name, content in wanted.items():
                read = io.BytesIO()
                image.get_file_from_iso_fp(read, **{way: f"/{name}"})
                assert read.getvalue() == content, (way, name)
    finally:
        image.close()
    assert [path.name for path in tmp_path.iterdir()] == ["drive"]
