"""A cloud as a whole: down and up, saved and put back, emptied, removed."""
from __future__ import annotations

import json
import os
import tarfile
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
import yaml
from tests.outside.clouds import wait
from tests.run.conftest import Here

from pilvi.run import furnish, lifecycle, settings
from pilvi.run.settings import Settings

slow = pytest.mark.slow


def picture(here: Here) -> dict[str, Any]:
    """What is in the cloud, by the names and ids that its users know."""
    admin = here.session("admin")

    def seen(service: str, path: str, key: str, *names: str, **query: Any) -> list[tuple[Any, ...]]:
        return sorted(tuple(str(one[name]) for name in names) for one in admin.ask(service, "GET", path, **query)[key])

    return {
        "servers": seen("compute", "/v2.1/servers/detail", "servers", "id", "name", "status", all_tenants=1),
        "flavors": seen("compute", "/v2.1/flavors", "flavors", "id", "name"),
        "networks": seen("network", "/v2.0/networks", "networks", "id", "name"), "ports": seen("network", "/v2.0/ports", "ports", "id"),
        "addresses": seen("network", "/v2.0/floatingips", "floatingips", "floating_ip_address", "port_id"),
        "images": seen("image", "/v2/images", "images", "id", "checksum"),
        "users": seen("identity", "/v3/users", "users", "id", "name"),
        "volumes": seen("volume", "/v3/volumes/detail", "volumes", "id", "size", all_tenants=1)}


def machines(here: Here) -> dict[str, str]:
    """{name: power} of the simulated host's machines."""
    found = json.loads((here.state / "host/machines/sim-00001.json").read_text())
    return {record["machine"]["name"]: record["power"] for record in found.values()}


@pytest.fixture(scope="module")
def cloud(here: Callable[[str], Here]) -> Iterator[Here]:
    """One with a volume beside the first server. Its tests each leave it up."""
    made = here("lifecycle")
    made.up()
    volume = made.session().ask("volume", "POST", "/v3/volumes", {"volume": {"size": 1, "name": "v"}})["volume"]
    wait(lambda: made.session().ask("volume", "GET", f"/v3/volumes/{volume['id']}")["volume"]["status"] == "available", "volume")
    yield made
    made.run("down")


@slow
def test_down_and_up(cloud: Here) -> None:
    made = cloud.boot("by-hand")
    furnish.wait_active(cloud.session(), made["id"])
    cloud.run("hold", "by-hand")
    before = picture(cloud)
    cloud.run("down")
    assert machines(cloud) == {"hello": "stopped", "by-hand": "stopped"}
    cloud.again()
    assert picture(cloud) == before
    wait(lambda: machines(cloud)["hello"] == "running", "what ran before runs again")
    time.sleep(2)
    assert machines(cloud)["by-hand"] == "stopped", "held: an administrator starts it"
    cloud.session().ask("compute", "DELETE", f"/v2.1/servers/{made['id']}")
    wait(lambda: "by-hand" not in machines(cloud), "users still delete it")
    wait(lambda: "by-hand" not in cloud.servers(), "and then it is gone")


@slow
def test_furnishing_again_makes_nothing(cloud: Here) -> None:
    before = picture(cloud)
    cloud.again()
    assert picture(cloud) == before


@slow
def test_backup_and_restore(cloud: Here, tmp_path: Path) -> None:
    before, archive = picture(cloud), tmp_path / "backup.tar.gz"
    assert cloud.run("backup", str(archive)).strip() == str(archive)
    assert archive.stat().st_mode & 0o077 == 0, "it holds the keys"
    made = cloud.boot("later")
    furnish.wait_active(cloud.session(), made["id"])
    cloud.session("admin").make("identity", "/v3/users", "user", "users", "later")
    assert "up; `pilvi down` first" in cloud.run("restore", str(archive), status=1).replace("\n", " ")
    cloud.run("down")
    cloud.run("restore", str(archive))
    cloud.again()
    assert picture(cloud) == before
    wait(lambda: machines(cloud)["hello"] == "running", "what the backup knows runs")
    assert machines(cloud)["later"] == "stopped", "what it does not know is not destroyed"
    log = cloud.state / "logs/agent.log"
    wait(lambda: any("unmanaged machine" in line and made["id"] in line for line in log.read_text().splitlines()), "nor overlooked")


@slow
def test_restore_elsewhere(cloud: Here, here: Callable[[str], Here], tmp_path: Path) -> None:
    archive = tmp_path / "whole.tar.gz"
    before = picture(cloud)
    cloud.run("down")
    cloud.run("backup", str(archive), "--disks")
    other = here("elsewhere")
    other.run("restore", str(archive))
    assert settings.load(other.state).state == str(other.state)
    other.again("--empty")
    assert picture(other) == before
    wait(lambda: machines(other)["hello"] == "running", "its machines came along")
    other.run("down")
    cloud.again()


@slow
def test_reset(here: Callable[[str], Here]) -> None:
    made = here("reset")
    made.up()
    words = (made.state / "control/keys/passwords.json").read_text()
    made.run("reset", status=1)
    assert made.servers(), "asked, and nobody said yes"
    made.run("reset", "--yes")
    assert not (made.state / "control").exists() and not (made.state / "host").exists()
    made.again("--empty")
    assert settings.load(made.state).listen == made.listen, "its choices stay"
    assert made.servers() == {} and (made.state / "control/keys/passwords.json").read_text() != words
    made.run("down")


@slow
def test_uninstall_removes_only_its_own(here: Callable[[str], Here]) -> None:
    made = here("uninstall")
    made.up("--empty")
    (made.state / "installed.json").write_text('{"packages": []}')
    (made.state / "env.lock").touch()
    (made.state / "mine.txt").write_text("kept")
    text = made.run("uninstall", "--yes")
    assert [path.name for path in made.state.iterdir()] == ["mine.txt"] and "removed packages: none" in text
    assert "holds what is not of the cloud's making" in text.replace("\n", " ")


def test_clouds_yaml_is_shut(tmp_path: Path) -> None:
    made = Settings(state=str(tmp_path), listen="127.0.0.1:1234", unprivileged=False)
    settings.prepare(made)
    made.passwords_path.write_text(json.dumps({"admin": "a-word", "demo": "d-word"}))
    lifecycle.write_clouds(made)
    path = tmp_path / "clouds.yaml"
    assert path.stat().st_mode & 0o077 == 0
    clouds = yaml.safe_load(path.read_text())["clouds"]
    assert {name: one["auth"]["password"] for name, one in clouds.items()} == {"pilvi": "a-word", "pilvi-demo": "d-word"}
    assert clouds["pilvi"]["auth"]["auth_url"] == "http://127.0.0.1:1234/identity/v3"


def test_backup_of_a_servers_database_is_refused(tmp_path: Path) -> None:
    made = Settings(state=str(tmp_path), database_url="postgresql+psycopg://x")
    with pytest.raises(lifecycle.Refused, match="pg_dump"): lifecycle.backup(made, tmp_path / "x", disks=False)


@pytest.mark.parametrize(("name", "kind"), [
    ("../escaped", tarfile.REGTYPE), ("/etc/escaped", tarfile.REGTYPE), ("host/link", tarfile.SYMTYPE), ("host/dev", tarfile.CHRTYPE)])
def test_a_backup_that_leads_elsewhere_is_refused(tmp_path: Path, name: str, kind: bytes) -> None:
    kept = tmp_path / "cloud/control/db/identity.sqlite"
    kept.parent.mkdir(parents=True)
    kept.touch()
    with tarfile.open(tmp_path / "b.tar.gz", "w:gz") as tar:
        for inner, sort in (("cloud.json", tarfile.REGTYPE), (name, kind)):
            entry = tarfile.TarInfo(inner)
            entry.type, entry.linkname = sort, "/etc"
            tar.addfile(entry)
    with pytest.raises(lifecycle.Refused, match=name): lifecycle.restore(tmp_path / "cloud", tmp_path / "b.tar.gz")
    assert kept.exists() and not (tmp_path / "escaped").exists()


def test_sockets_are_not_saved(tmp_path: Path) -> None:
    made = Settings(state=str(tmp_path), unprivileged=False)
    settings.prepare(made)
    settings.save(made)
    (tmp_path / "host/machines").mkdir()
    (tmp_path / "host/machines/disk").write_text("x")
    os.mkfifo(tmp_path / "host/machines/pipe")
    lifecycle.backup(made, tmp_path / "b.tar.gz", disks=True)
    with tarfile.open(tmp_path / "b.tar.gz") as tar: names = set(tar.getnames())
    assert "host/machines/disk" in names and "host/machines/pipe" not in names
