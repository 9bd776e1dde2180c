"""The config drive: what the metadata service tells, as a read-only disk labelled config-2, for guests without a network.

Source: nova documentation, "Config drives". Only `latest` is written: every reader takes it, and it tells all that the dated versions do.
The image is made by pycdlib: pure Python, maintained, typed; genisoimage would be one more program on each host, unmaintained since 2009.
"""
from __future__ import annotations

import io
import json
from collections.abc import Mapping
from pathlib import Path, PurePosixPath

from pycdlib import PyCdlib

from pilvi.compute.metadata import Facts, ec2_meta_data, openstack_documents

LABEL = "config-2"


def files(facts: Facts) -> dict[str, bytes]:
    """{path: content} of the drive."""
    found = {f"openstack/latest/{name}": body for name, (_, body) in openstack_documents("latest", facts).items() if name != "password"}
    if "admin_pass" in facts:
        meta_data = json.loads(found["openstack/latest/meta_data.json"]) | {"admin_pass": facts["admin_pass"]}
        found["openstack/latest/meta_data.json"] = json.dumps(meta_data).encode()
    found["ec2/latest/meta-data.json"] = json.dumps(_without_names(ec2_meta_data("latest", facts))).encode()
    user_data = facts.get("user_data")
    if user_data is not None: found["ec2/latest/user-data"] = user_data
    return found


def write(path: Path, files: Mapping[str, bytes]) -> None:
    """Make the image, whole or not at all: ISO 9660 with Rock Ridge names for Unix and Joliet names for Windows."""
    image = PyCdlib()
    image.new(interchange_level=3, vol_ident=LABEL, rock_ridge="1.09", joliet=3)
    made: set[PurePosixPath] = set()
    for number, (name, content) in enumerate(sorted(files.items())):
        target = PurePosixPath("/", name)
        for folder in [*reversed(target.parents)][1:]:
            if folder in made: continue
            image.add_directory(_iso(folder), rr_name=folder.name, joliet_path=str(folder))
            made.add(folder)
        # the plain ISO 9660 names are upper case and short, and nobody reads them: a number makes them differ
        plain = f"{_iso(target.parent).rstrip('/')}/F{number}.;1"
        image.add_fp(io.BytesIO(content), len(content), plain, rr_name=target.name, joliet_path=str(target))
    new = path.with_suffix(".new")
    with new.open("wb") as file: image.write_fp(file)
    image.close()
    new.replace(path)


def _iso(folder: PurePosixPath) -> str:
    return str(folder).upper().replace("-", "_")


def _without_names(tree: dict[str, object]) -> dict[str, object]:
    """EC2's tree without what only serves its listings."""
    return {name: _without_names(value) if isinstance(value, dict) else value for name, value in tree.items() if name != "_name"}
