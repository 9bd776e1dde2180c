"""The nine services on real guests: an application from its template to its bill, in a browser, by the clients, by a guest's shell."""
from __future__ import annotations

import os
import re
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import httpx
import pytest
from playwright.sync_api import Browser, expect
from tests.outside.clouds import Cloud, wait
from tests.outside.test_application import TEMPLATE, Demo
from tests.outside.test_dashboard import User, chromium
from tests.outside.test_walk import machine, settled, ssh

__all__ = ["chromium"]
pytestmark = [pytest.mark.real, pytest.mark.slow]
ROOT = Path(__file__).resolve().parents[2]
BOOT_MS = 300_000
SAMPLE_SECONDS = 10
BUSY_NANOSECONDS = 1_500_000_000
"""Of ten seconds between two samples: an idle guest takes a tenth of that, one that counts takes all that a shared machine gives it."""


@pytest.fixture(scope="module")
def cloud(cloud_at: Callable[[str], Cloud]) -> Iterator[Cloud]:
    yield from cloud_at("story").while_up("--empty", "--meter-seconds", str(SAMPLE_SECONDS))


def test_from_the_template_to_the_bill(cloud: Cloud, chromium: Browser, tmp_path: Path) -> None:
    settled(cloud.state)
    before, demo = machine(cloud.state), Demo(cloud)
    user = User(cloud, chromium, "pilvi-demo")
    user.sign_in()
    upload_image(user, cloud.state / "guest" / "pilvi-guest.qcow2")
    key = tmp_path / "key"
    subprocess.run(["ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-f", key], check=True)
    cloud.demo.run("keypair", "create", "--public-key", f"{key}.pub", "story")

    subprocess.run(["truncate", "-s", "8M", tmp_path / "kept"], check=True)
    cloud.demo.run("container", "create", "kept")
    cloud.demo.run("object", "create", "--name", "kept", "kept", str(tmp_path / "kept"))
    things = demo.things()
    launch_stack(user)
    watch_the_boot(user)
    address = demo.output("address")
    assert "<h1>app</h1>" in httpx.get(address, timeout=120).text
    put_files(user, cloud, demo, tmp_path)
    grow_under_load(demo, key, address.removeprefix("http://").removesuffix("/"))
    look_at_the_charts(user)

    cloud.demo.run("stack", "update", "-t", TEMPLATE, "--existing", "--parameter", "helpers=2", "app")
    wait(lambda: demo.stack() == "UPDATE_COMPLETE", "the stack is changed", 300)
    servers = {one["name"]: one for one in demo.get("compute", "/servers/detail")["servers"]}
    end_the_stack(user)
    wait(lambda: demo.things() == things, "nothing is left of the stack", 300)
    wait(lambda: machine(cloud.state) == before, lambda: f"the machine is as before: {machine(cloud.state)} instead of {before}")
    read_the_bill(user, demo, servers)
    assert user.broken == []


def test_the_first_application_of_the_readme(cloud: Cloud) -> None:
    """Word by word as it stands there."""
    written = (ROOT / "README.md").read_text().partition("## A first application")[2].split("```")[1]
    script = written.replace("/var/lib/pilvi", str(cloud.state)).replace("sudo ", "")
    path = f"{Path(sys.executable).parent}:{os.environ['PATH']}"
    done = subprocess.run(["bash", "-eux", "-c", script], cwd=ROOT, capture_output=True, text=True, timeout=900,
                          env=os.environ | {"PATH": path, "PILVI_STATE": str(cloud.state)})
    assert done.returncode == 0, done.stdout + done.stderr
    assert "<h1>app</h1>" in done.stdout and "app-database" in done.stdout.rpartition("total")[0]


def upload_image(user: User, file: Path) -> None:
    user.go("Images")
    user.page.get_by_role("button", name="Upload an image").click()
    user.page.locator("input[type=file]").set_input_files(file)
    user.page.get_by_label("Name").fill("story")
    user.page.get_by_role("button", name="Upload an image").click()
    expect(user.page.locator("main header").get_by_text("active")).to_be_visible(timeout=120_000)


def launch_stack(user: User) -> None:
    user.go("Stacks")
    user.page.get_by_role("button", name="Launch a stack").click()
    user.page.get_by_role("textbox", name="Template").fill(Path(TEMPLATE).read_text())
    expect(user.page.get_by_text("The template is valid.")).to_be_visible()
    user.page.get_by_label("Name", exact=True).fill("app")
    for label, value in (("Image", "story"), ("Key pair", "story"), ("Busy from", str(BUSY_NANOSECONDS))):
        user.page.get_by_label(re.compile(f"^{label}")).fill(value)
    user.page.get_by_role("button", name="Launch a stack").click()
    user.page.get_by_role("tab", name="Resources").click()
    expect(user.row("web_port")).to_contain_text("complete", timeout=BOOT_MS)


def watch_the_boot(user: User) -> None:
    """The web server's 29 steps, and the word that it sends when it is up."""
    user.go("Instances")
    user.page.get_by_role("link", name="app-web").click()
    expect(user.page.locator("li[data-done]")).to_have_count(29, timeout=BOOT_MS)
    user.page.get_by_role("tab", name="Log", exact=True).click()
    user.go("Stacks")
    user.page.get_by_role("link", name="app", exact=True).click()
    expect(user.page.locator("main header").get_by_text("create complete").first).to_be_visible(timeout=BOOT_MS)


def put_files(user: User, cloud: Cloud, demo: Demo, folder: Path) -> None:
    """One by the browser, which the client gets; one by the client, which the browser shows."""
    container = demo.output("files").rpartition("/")[2]
    first, second = folder / "first.txt", folder / "second.txt"
    first.write_text("from the browser")
    second.write_text("from the client")
    user.go("Containers")
    user.page.get_by_role("link", name=container).click()
    user.page.locator("input[type=file]").set_input_files(first)
    expect(user.page.get_by_role("link", name="first.txt")).to_be_visible()
    cloud.demo.run("object", "create", "--name", "second.txt", container, str(second))
    assert cloud.demo.run("object", "save", "--file", "-", container, "first.txt") == "from the browser"
    user.page.reload()
    expect(user.page.get_by_role("link", name="second.txt")).to_be_visible()


def grow_under_load(demo: Demo, key: Path, address: str) -> None:
    """The web server counts; the alarm sees it and calls the policy; a helper appears."""
    ssh(key, address, "yes > /dev/null 2>&1 &")
    wait(lambda: demo.output("helpers") == 1, "one more helper", 420)
    wait(lambda: len(found := demo.get("compute", "/servers/detail")["servers"]) > 2 and {one["status"] for one in found} == {"ACTIVE"},
         "it runs beside the other two", 300)
    alarm = next(one for one in demo.get("alarming", "/v2/alarms") if "web_is_busy" in one["name"])
    told = demo.get("alarming", f"/v2/alarms/{alarm['alarm_id']}/history")
    assert any(one["type"] == "state transition" and '"alarm"' in one["detail"] for one in told)
    ssh(key, address, "killall yes")


def look_at_the_charts(user: User) -> None:
    user.go("Instances")
    user.page.get_by_role("link", name="app-web").click()
    user.page.get_by_role("tab", name="Charts").click()
    for name in ("Processor", "Memory", "Disk", "Network"):
        expect(user.page.get_by_role("img", name=name).first).to_be_visible(timeout=120_000)


def end_the_stack(user: User) -> None:
    user.go("Stacks")
    user.page.get_by_role("button", name="Actions for app").click()
    user.page.get_by_role("menuitem", name="Delete").click()
    user.dialog().get_by_role("button", name="Delete").click()
    expect(user.page.get_by_role("link", name="app", exact=True)).to_have_count(0, timeout=BOOT_MS)


def read_the_bill(user: User, demo: Demo, servers: dict[str, Any]) -> None:
    """Each thing is on it, the servers to the second as compute counted them."""
    project = demo.session.get_project_id()
    root = demo.session.get_endpoint(service_type="rating").rpartition("/rating")[0]

    def usage() -> list[dict[str, Any]]:
        found: list[dict[str, Any]] = demo.session.get(f"{root}/rating/v1/projects/{project}/usage").json()["usage"]
        return found

    wait(lambda: not [one for one in usage() if one["kind"] == "server" and one["open"]], "all servers are billed to their end")
    kinds = {one["kind"] for one in usage()}
    assert {"server", "volume", "floating_ip", "image"} <= kinds
    wait(lambda: "object_storage" in {one["kind"] for one in usage()}, "the objects are measured", 300)
    told = demo.get("compute", f"/os-simple-tenant-usage/{project}")["tenant_usage"]["server_usages"]
    counted = {one["instance_id"]: one for one in told}
    for server in servers.values():
        mine = [one for one in usage() if one["resource_id"] == server["id"]]
        theirs = counted[server["id"]]
        assert (mine[0]["begin"], mine[-1]["end"]) == (f"{theirs['started_at']}Z", f"{theirs['ended_at']}Z")
    user.go("Bill")
    for name in ("app-web", "app-database"): expect(user.row(name).first).to_contain_text("server")
    expect(user.row("story").first).to_contain_text("image")
