"""The guest's JSON reader (awk), against Python's."""
from __future__ import annotations

import json
import shutil
import subprocess
from pathlib import Path

import pytest

from pilvi.image.guest import build

READER = Path(build.__file__).parent / "files/root/usr/lib/pilvi-guest/json.awk"
AWKS = [command for command in (["mawk"], ["gawk"], ["busybox", "awk"]) if shutil.which(command[0])]


def read(awk: list[str], text: str) -> list[tuple[str, str]]:
    done = subprocess.run([*awk, "-f", READER], input=text, capture_output=True, text=True, check=True)
    return [(path, value) for path, _, value in (line.partition("\t") for line in done.stdout.splitlines())]


@pytest.mark.parametrize("awk", AWKS, ids=lambda command: command[0])
@pytest.mark.parametrize("indent", [None, 2])
def test_values_by_path(awk: list[str], indent: int | None) -> None:
    metadata = {
        "uuid": "1-2", "hostname": "a.b", "launch_index": 0, "dedicated": False, "nothing": None, "empty": {}, "list": [],
        "negative": -1.5e3,
        "public_keys": {"my \"key\", {": "ssh-ed25519 AAAA+/= a\\b \"c\"\n", "other": "ssh-rsa B"},
        "keys": [{"name": "x", "data": "y"}, "plain"], "meta": {"hostname": "not this"},
    }
    assert read(awk, json.dumps(metadata, indent=indent)) == [
        ("uuid", "1-2"), ("hostname", "a.b"), ("launch_index", "0"), ("dedicated", "false"), ("nothing", "null"), ("negative", "-1500.0"),
        ("public_keys/my \"key\", {", "ssh-ed25519 AAAA+/= a\\b \"c\" "), ("public_keys/other", "ssh-rsa B"),
        ("keys/0/name", "x"), ("keys/0/data", "y"), ("keys/1", "plain"), ("meta/hostname", "not this"),
    ]


@pytest.mark.parametrize("awk", AWKS, ids=lambda command: command[0])
@pytest.mark.parametrize("text", ["", "{", '{"a" 1}', '{"a": "b}', "<html>", '{"a": 1 "b": 2}'])
def test_what_is_not_json_is_an_error(awk: list[str], text: str) -> None:
    done = subprocess.run([*awk, "-f", READER], input=text, capture_output=True, text=True, check=False, timeout=30)
    assert done.returncode != 0
