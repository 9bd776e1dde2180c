"""The dashboard as its users meet it: a real browser (Debian's Chromium) before a simulated cloud."""
from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
import yaml
from playwright.sync_api import Browser, expect
from tests.outside.clouds import Cloud
from tests.outside.visitor import PATIENCE_MS, User, chromium_browser

from pilvi.run import furnish
from pilvi.run.settings import load

pytestmark = pytest.mark.slow
WITHOUT_POLLS = "const every = setInterval; window.setInterval = (act, ms, ...more) => ms < 5000 ? every(act, ms, ...more) : 0"
"""Before a page's own scripts: nothing is read again just because time passes."""
SCRIPT = "<img src=x onerror=window.hacked=1>"


@pytest.fixture(scope="module")
def cloud(cloud_at: Callable[[str], Cloud]) -> Iterator[Cloud]:
    yield from cloud_at("dashboard").while_up("--simulated", "--meter-seconds", "2")


@pytest.fixture(scope="module")
def chromium() -> Iterator[Browser]:
    yield from chromium_browser()


@pytest.fixture(scope="module")
def outside(cloud: Cloud) -> furnish.Cloud:
    """What the same user does without a browser."""
    return furnish.Cloud(load(cloud.state), "demo", "demo")


def delete(outside: furnish.Cloud, service: str, path: str, plural: str, name: str) -> None:
    outside.ask(service, "DELETE", f"{path}/{outside.find(service, path, plural, name)['id']}")


@pytest.fixture
def visit(cloud: Cloud, chromium: Browser) -> Iterator[Callable[..., User]]:
    users: list[User] = []

    def make(name: str = "pilvi-demo", signed_in: bool = True, **options: Any) -> User:
        user = User(cloud, chromium, name, **options)
        users.append(user)
        if signed_in:
            user.sign_in()
            expect(user.page.get_by_role("heading", name="Hello,")).to_be_visible(timeout=PATIENCE_MS)
        return user

    yield make
    for user in users:
        assert user.broken == []
        user.context.close()


def test_sign_in_and_out(visit: Callable[..., User]) -> None:
    user = visit(signed_in=False)
    user.sign_in("wrong")
    expect(user.page.get_by_role("alert")).to_contain_text("wrong")
    user.sign_in()
    expect(user.page.get_by_role("heading", name="Hello, demo")).to_be_visible()
    kept = user.context.cookies()
    assert [(c["name"], c["httpOnly"], c["sameSite"]) for c in kept] == [("pilvi_session", True, "Strict")]
    assert user.page.evaluate("document.cookie") == "", "no script can read the session"
    assert "gAAAA" not in user.page.evaluate("JSON.stringify(localStorage) + JSON.stringify(sessionStorage)")
    user.page.reload()
    expect(user.page.get_by_role("heading", name="Hello, demo")).to_be_visible()
    user.page.get_by_role("button", name="demo").last.click()
    user.page.get_by_role("menuitem", name="Sign out").click()
    expect(user.page.get_by_role("button", name="Sign in")).to_be_visible()
    user.context.add_cookies(kept)  # type: ignore[arg-type]
    user.page.reload()
    expect(user.page.get_by_role("button", name="Sign in")).to_be_visible()


def test_a_server_from_launch_to_its_end(visit: Callable[..., User]) -> None:
    user = visit()
    user.page.get_by_role("link", name="Launch an instance").click()
    user.page.get_by_label("Name", exact=True).fill("web-1")
    user.page.get_by_role("radio", name="m1.tiny").check(force=True)
    expect(user.page.locator("code", has_text="openstack server create")).to_contain_text("--flavor m1.tiny")
    user.page.get_by_role("button", name="Launch an instance").click()
    expect(user.page.get_by_role("heading", name="web-1")).to_be_visible()
    expect(user.page.locator("li[data-done]")).to_have_count(29)
    expect(user.page.get_by_text("All 29 steps are done")).to_be_visible()
    expect(user.page.locator("main header").get_by_text("active", exact=True)).to_be_visible()
    user.page.locator("li[data-step='11'] button").click()
    expect(user.page.locator("li[data-step='11']")).to_contain_text("scheduler → database")
    _change(user)
    user.page.get_by_role("button", name="Stop").click()
    expect(user.page.locator("main header").get_by_text("shutoff", exact=True)).to_be_visible()
    expect(user.page.locator(".notices code").last).to_contain_text("openstack server stop web-1")
    user.page.get_by_role("tab", name="Action log").click()
    expect(user.row("stop")).to_be_visible()
    user.page.get_by_role("button", name="Actions for web-1").click()
    user.page.get_by_role("menuitem", name="Delete").click()
    user.dialog().get_by_role("button", name="Delete").click()
    expect(user.page.get_by_role("heading", name="Instances")).to_be_visible()
    expect(user.row("web-1")).to_have_count(0)


def _change(user: User) -> None:
    """Another size, an image of it, a new beginning, a pause without memory: each by the menu, with the command that does the same."""
    def choose(verb: str, command: str, *, pick: str = "") -> None:
        user.page.get_by_role("button", name="Actions for web-1").click()
        user.page.get_by_role("menuitem", name=verb, exact=True).click()
        if pick:
            box = user.dialog().get_by_role("combobox")
            box.select_option(box.locator("option", has_text=pick).get_attribute("value"))
        if pick or verb == "Save as image": user.dialog().get_by_role("button", name=verb).click()
        expect(user.page.locator(".notices code").last).to_contain_text(command)

    def becomes(status: str) -> None:
        expect(user.page.locator("main header").get_by_text(status, exact=True)).to_be_visible()

    choose("Resize", "openstack server resize --flavor 4 web-1", pick="m1.small")
    becomes("verify resize")
    user.page.get_by_role("button", name="Keep the new size").click()
    becomes("active")
    choose("Suspend", "openstack server suspend web-1")
    becomes("suspended")
    user.page.get_by_role("button", name="Resume").click()
    becomes("active")
    choose("Save as image", "openstack server image create --name web-1 web-1")
    becomes("active")
    choose("Rebuild", "openstack server rebuild --image", pick="pilvi-guest")
    becomes("active")


def test_a_part_that_does_not_come_is_asked_for_again(visit: Callable[..., User]) -> None:
    user = visit()
    user.page.route("**/assets/Tabs-*", lambda route: route.abort(), times=1)
    user.go("Instances")
    user.page.get_by_role("link", name="hello").click()
    expect(user.page.get_by_role("tab", name="Action log")).to_be_visible()
    user.page.route("**/assets/Topology-*", lambda route: route.abort())
    user.go("Network topology")
    expect(user.page.get_by_role("alert")).to_contain_text("This page failed")  # not for ever


def test_what_others_do_appears_by_itself(visit: Callable[..., User], outside: furnish.Cloud) -> None:
    user = visit(signed_in=False)
    user.context.add_init_script(WITHOUT_POLLS)
    user.sign_in()
    user.go("Volumes")
    expect(user.page.get_by_text("live", exact=True)).to_be_visible()
    expect(user.page.get_by_text("No Volumes yet.")).to_be_visible()
    outside.ask("volume", "POST", "/v3/volumes", {"volume": {"size": 1, "name": "from-outside"}})
    expect(user.row("from-outside")).to_contain_text("available")
    delete(outside, "volume", "/v3/volumes", "volumes", "from-outside")
    expect(user.row("from-outside")).to_have_count(0)


def test_volumes_and_their_snapshots(visit: Callable[..., User]) -> None:
    user = visit()
    user.go("Volumes")
    user.page.get_by_role("button", name="Create", exact=True).click()
    user.dialog().get_by_label("Name").fill("data")
    user.dialog().get_by_label("Size (GiB)").fill("2")
    expect(user.dialog().locator("code")).to_contain_text("openstack volume create --size 2")
    user.dialog().get_by_role("button", name="Create").click()
    expect(user.row("data")).to_contain_text("available")
    user.page.get_by_role("button", name="Actions for data").click()
    user.page.get_by_role("menuitem", name="Create a snapshot").click()
    user.dialog().get_by_label("Name").fill("saved")
    user.dialog().get_by_role("button", name="Create a snapshot").click()
    user.go("Snapshots")
    expect(user.row("saved")).to_contain_text("available")
    user.page.get_by_role("button", name="Actions for saved").click()
    user.page.get_by_role("menuitem", name="Delete").click()
    user.dialog().get_by_role("button", name="Delete").click()
    expect(user.row("saved")).to_have_count(0)
    user.go("Volumes")
    user.page.get_by_role("checkbox", name="Choose data").check()
    user.page.get_by_role("button", name="Delete", exact=True).click()
    user.dialog().get_by_role("button", name="Delete").click()
    expect(user.row("data")).to_have_count(0)


def test_a_network_from_nothing_to_the_graph(visit: Callable[..., User]) -> None:
    user = visit()
    user.go("Networks")
    user.page.get_by_role("button", name="Create", exact=True).click()
    user.dialog().get_by_label("Name").fill("backend")
    user.dialog().get_by_label("Subnet (CIDR)").fill("10.9.8.0/24")
    user.dialog().get_by_role("button", name="Create").click()
    user.page.get_by_role("link", name="backend").click()
    expect(user.row("10.9.8.0/24")).to_be_visible()
    user.go("Routers")
    user.page.get_by_role("button", name="Actions for router").click()
    user.page.get_by_role("menuitem", name="Add an interface").click()
    user.dialog().get_by_label("Subnet").select_option(label="backend (10.9.8.0/24)")
    user.dialog().get_by_role("button", name="Add an interface").click()
    user.page.get_by_role("link", name="router", exact=True).click()
    expect(user.row("10.9.8.1")).to_be_visible()
    user.go("Network topology")
    user.page.get_by_text("As a list").click()
    expect(user.page.get_by_role("listitem").filter(has_text="backend")).to_be_visible()
    user.go("Security groups")
    user.page.get_by_role("link", name="default").click()
    user.page.get_by_role("button", name="Add a rule").click()
    user.dialog().get_by_label("From port").fill("8080")
    user.dialog().get_by_role("button", name="Add a rule").click()
    expect(user.row("8080")).to_contain_text("ingress")


def test_an_image_is_uploaded(visit: Callable[..., User], tmp_path: Path) -> None:
    file = tmp_path / "tiny.raw"
    file.write_bytes(b"\0" * 3_000_000)
    user = visit()
    user.go("Images")
    user.page.get_by_role("button", name="Upload an image").click()
    user.page.locator("input[type=file]").set_input_files(file)
    expect(user.page.get_by_label("Name")).to_have_value("tiny")
    user.page.get_by_role("button", name="Upload an image").click()
    expect(user.page.get_by_role("heading", name="tiny")).to_be_visible()
    expect(user.page.locator("main header").get_by_text("active")).to_be_visible()
    user.page.get_by_role("button", name="Actions for tiny").click()
    user.page.get_by_role("menuitem", name="Delete").click()
    user.dialog().get_by_role("button", name="Delete").click()
    expect(user.page.get_by_role("heading", name="Images")).to_be_visible()


def test_files_go_into_a_container_and_come_out(visit: Callable[..., User], tmp_path: Path) -> None:
    file = tmp_path / "hello world.txt"
    file.write_text("from the browser")
    page = tmp_path / "page.html"
    page.write_text("<script>document.title='hacked'</script>")
    user = visit()
    user.go("Containers")
    user.page.get_by_role("button", name="Create", exact=True).click()
    user.dialog().get_by_label("Name").fill("files")
    user.dialog().get_by_role("button", name="Create").click()
    user.page.get_by_role("link", name="files", exact=True).click()
    user.page.get_by_role("button", name="New folder").click()
    user.dialog().get_by_label("Name").fill("a folder")
    user.dialog().get_by_role("button", name="Create").click()
    user.page.get_by_role("link", name="a folder").click()
    user.page.locator("input[type=file]").set_input_files([file, page])
    with user.page.expect_download() as waiting: user.page.get_by_role("link", name="hello world.txt").click()
    assert waiting.value.path().read_text() == "from the browser"
    expect(user.page.get_by_role("link", name="page.html")).to_be_visible()
    kept = user.page.evaluate("fetch(document.querySelector('a[download=\"page.html\"]').href).then(a => [...a.headers])")
    assert "sandbox" in dict(kept)["content-security-policy"], "what users upload runs nowhere on this origin"
    user.page.get_by_label("Public").check()
    user.page.get_by_role("button", name="Copy the public link of hello world.txt").wait_for()
    user.go("Containers")
    for _ in range(20):  # a container's counts come a moment after its objects
        if "3" in user.row("files").inner_text(): break
        user.page.wait_for_timeout(1000)
        user.page.reload()
    expect(user.row("files")).to_contain_text("3")
    user.page.get_by_role("button", name="Actions for files").click()
    user.page.get_by_role("menuitem", name="Delete").click()
    user.dialog().get_by_role("button", name="Delete").click()
    expect(user.row("files")).to_have_count(0)


def test_a_stack_from_its_template_to_its_end(visit: Callable[..., User]) -> None:
    user = visit()
    user.go("Stacks")
    user.page.get_by_role("button", name="Launch a stack").click()
    expect(user.page.get_by_text("The template is valid.")).to_be_visible()
    template = user.page.get_by_role("textbox", name="Template")
    good = template.input_value()
    template.fill(good.replace("OS::Cinder::Volume", "OS::Not::There"))
    expect(user.page.get_by_role("alert")).to_contain_text("OS::Not::There")
    template.fill(good)
    expect(user.page.get_by_text("The template is valid.")).to_be_visible()
    user.page.get_by_label("Name", exact=True).fill("whole")
    user.page.get_by_label("size").fill("2")
    user.page.get_by_role("button", name="Preview").click()
    expect(user.row("OS::Nova::Server")).to_be_visible()
    user.page.get_by_role("button", name="Launch a stack").click()
    expect(user.page.locator("main header").get_by_text("create complete").first).to_be_visible()
    expect(user.page.get_by_text("10.20.0.")).to_be_visible()
    user.page.get_by_role("tab", name="Resources").click()
    for name in ("network", "subnet", "server", "volume"): expect(user.row("OS::").filter(has_text=name).first).to_contain_text("complete")
    user.page.get_by_role("tab", name="Events").click()
    expect(user.row("server").first).to_be_visible()
    user.page.get_by_role("tab", name="Snapshots").click()
    user.page.get_by_role("button", name="Create", exact=True).click()
    user.dialog().get_by_label("Name").fill("before")
    user.dialog().get_by_role("button", name="Create").click()
    expect(user.row("before")).to_contain_text("failed")  # there are no volume backups; the page says why
    user.page.get_by_role("button", name="Actions for whole").click()
    user.page.get_by_role("menuitem", name="Delete").click()
    user.dialog().get_by_role("button", name="Delete").click()
    expect(user.page.get_by_role("heading", name="Stacks")).to_be_visible()
    expect(user.row("whole")).to_have_count(0)


def test_what_templates_can_be_made_of(visit: Callable[..., User]) -> None:
    user = visit()
    user.go("Resource types")
    user.page.get_by_role("searchbox").fill("RandomString")
    user.page.get_by_role("link", name="OS::Heat::RandomString").click()
    expect(user.row("character_classes")).to_be_visible()
    expect(user.page.get_by_text('"heat_template_version"')).to_be_visible()
    user.go("Template versions")
    user.page.get_by_role("link", name="AWSTemplateFormatVersion.2010-09-09").click()
    expect(user.row("Fn::FindInMap")).to_be_visible()


def test_charts_alarms_and_the_bill(visit: Callable[..., User]) -> None:
    user = visit()
    user.go("Instances")
    user.page.get_by_role("link", name="hello").click()
    user.page.get_by_role("tab", name="Charts").click()
    expect(user.page.get_by_role("img", name="Memory")).to_be_visible()
    user.go("Alarms")
    user.page.get_by_role("button", name="Create", exact=True).click()
    user.dialog().get_by_label("Name").fill("too busy")
    user.dialog().get_by_label("Threshold").fill("60000000000")
    user.dialog().get_by_role("button", name="Create").click()
    expect(user.row("too busy")).to_contain_text("rate:mean cpu > 60000000000")
    user.page.get_by_role("button", name="Actions for too busy").click()
    user.page.get_by_role("menuitem", name="Delete").click()
    user.dialog().get_by_role("button", name="Delete").click()
    expect(user.row("too busy")).to_have_count(0)
    user.go("Bill")
    expect(user.row("hello")).to_contain_text("server")
    user.page.get_by_role("button", name="hello").click()
    expect(user.row("vcpu").first).to_be_visible()
    with user.page.expect_download() as waiting: user.page.get_by_role("link", name="CSV").click()
    assert "hello" in waiting.value.path().read_text()


def test_script_in_names_stays_text(visit: Callable[..., User], outside: furnish.Cloud) -> None:
    outside.ask("volume", "POST", "/v3/volumes", {"volume": {"size": 1, "name": SCRIPT}})
    outside.ask("network", "POST", "/v2.0/networks", {"network": {"name": SCRIPT}})
    user = visit()
    for place in ("Volumes", "Networks", "Network topology"):
        user.go(place)
        if place == "Network topology": user.page.get_by_text("As a list").click()
        expect(user.page.get_by_text(SCRIPT).first).to_be_visible()
    user.go("Volumes")
    user.page.get_by_role("link", name=SCRIPT).click()
    expect(user.page.get_by_role("heading", name=SCRIPT)).to_be_visible()
    assert user.page.evaluate("window.hacked") is None
    assert user.page.locator("img[src=x]").count() == 0
    delete(outside, "volume", "/v3/volumes", "volumes", SCRIPT)
    delete(outside, "network", "/v2.0/networks", "networks", SCRIPT)


def test_an_application_credential_is_told_once(visit: Callable[..., User]) -> None:
    user = visit()
    user.go("Application credentials")
    user.page.get_by_role("button", name="Create", exact=True).click()
    user.dialog().get_by_label("Name").fill("robot")
    with user.page.expect_download() as waiting: user.dialog().get_by_role("button", name="Create").click()
    made = yaml.safe_load(waiting.value.path().read_text())["clouds"]["robot"]
    expect(user.row("robot")).to_contain_text(made["auth"]["application_credential_id"])
    assert made["auth"]["application_credential_secret"] not in user.page.content()
    user.page.get_by_role("button", name="Actions for robot").click()
    user.page.get_by_role("menuitem", name="Delete").click()
    user.dialog().get_by_role("button", name="Delete").click()
    expect(user.row("robot")).to_have_count(0)


def test_administration_is_for_administrators(visit: Callable[..., User]) -> None:
    member = visit()
    expect(member.page.get_by_role("link", name="Users", exact=True)).to_have_count(0)
    member.page.goto(f"{member.root}/dashboard/admin/users")
    expect(member.page.get_by_role("heading", name="Nothing here")).to_be_visible()
    status = member.page.evaluate("fetch('/dashboard/api/identity/v3/users').then(answer => answer.status)")
    assert status == 403, "and the API says no, whatever the page shows"
    admin = visit("pilvi")
    places = {"System": "nova-compute", "All instances": "hello", "Hosts": "up", "Flavors": "m1.tiny", "Users": "demo"}
    for place, expected in places.items():
        admin.go(place)
        expect(admin.row(expected).first).to_be_visible()
    admin.go("Projects")
    admin.page.get_by_role("link", name="demo").click()
    expect(admin.row("member")).to_be_visible()


def test_networks_are_shared_and_providers_are_known(visit: Callable[..., User]) -> None:
    admin = visit("pilvi")
    admin.go("Shared networks")
    expect(admin.row("access_as_external")).to_be_visible()
    admin.page.get_by_role("button", name="Create", exact=True).click()
    admin.dialog().get_by_label("Network").select_option(label="public")
    admin.dialog().get_by_role("button", name="Create").click()
    expect(admin.row("access_as_shared")).to_contain_text("*")
    admin.page.get_by_role("button", name="Actions for access_as_shared").click()
    admin.page.get_by_role("menuitem", name="Delete").click()
    admin.dialog().get_by_role("button", name="Delete").click()
    expect(admin.row("access_as_shared")).to_have_count(0)
    admin.go("Mappings")
    admin.page.get_by_role("button", name="Create", exact=True).click()
    admin.dialog().get_by_label("Name").fill("people")
    admin.dialog().get_by_role("button", name="Create").click()
    expect(admin.row("people")).to_contain_text("HTTP_OIDC_SUB")
    admin.go("Identity providers")
    admin.page.get_by_role("button", name="Create", exact=True).click()
    admin.dialog().get_by_label("Name").fill("elsewhere")
    admin.dialog().get_by_label("Remote ids").fill("https://login.example")
    admin.dialog().get_by_role("button", name="Create").click()
    expect(admin.row("elsewhere")).to_contain_text("https://login.example")
    admin.page.get_by_role("button", name="Actions for elsewhere").click()
    admin.page.get_by_role("menuitem", name="Add a protocol").click()
    admin.dialog().get_by_label("Mapping").select_option(label="people")
    admin.dialog().get_by_role("button", name="Add a protocol").click()
    expect(admin.dialog()).to_have_count(0)
    path = "/dashboard/api/identity/v3/OS-FEDERATION/identity_providers/elsewhere/protocols"
    protocols = admin.page.evaluate("path => fetch(path).then(answer => answer.json())", path)
    assert [(one["id"], one["mapping_id"]) for one in protocols["protocols"]] == [("openid", "people")]


def test_a_group_and_its_members(visit: Callable[..., User]) -> None:
    admin = visit("pilvi")
    admin.go("Groups")
    admin.page.get_by_role("button", name="Create", exact=True).click()
    admin.dialog().get_by_label("Name").fill("operators")
    admin.dialog().get_by_role("button", name="Create").click()
    admin.page.get_by_role("link", name="operators").click()
    admin.page.get_by_role("button", name="Add a member").click()
    admin.dialog().get_by_label("User").select_option(label="demo")
    admin.dialog().get_by_role("button", name="Add a member").click()
    expect(admin.row("demo")).to_be_visible()
    admin.page.get_by_role("button", name="Actions for operators").click()
    admin.page.get_by_role("menuitem", name="Add to a project").click()
    admin.dialog().get_by_label("Project").select_option(label="demo")
    admin.dialog().get_by_label("Role").select_option(label="reader")
    admin.dialog().get_by_role("button", name="Add to a project").click()
    expect(admin.row("reader")).to_contain_text("demo")
    admin.page.get_by_role("button", name="Actions for demo").click()
    admin.page.get_by_role("menuitem", name="Remove").click()
    admin.dialog().get_by_role("button", name="Remove").click()
    expect(admin.page.get_by_role("button", name="Actions for demo")).to_have_count(0)


def test_keyboard_language_and_theme(visit: Callable[..., User]) -> None:
    user = visit(color_scheme="dark")
    assert user.page.evaluate("document.documentElement.dataset.theme") == "dark"
    user.page.get_by_role("button", name="Light or dark").click()
    assert user.page.evaluate("document.documentElement.dataset.theme") == "light"
    user.page.keyboard.press("Tab")
    user.go("Key pairs")
    user.page.get_by_role("button", name="Add a key pair").press("Enter")
    expect(user.dialog()).to_be_visible()
    user.page.keyboard.press("Escape")
    expect(user.dialog()).to_have_count(0)
    user.page.get_by_role("button", name="Language").click()
    expect(user.page.get_by_role("heading", name="密钥对")).to_be_visible()
    user.page.reload()
    expect(user.page.get_by_role("heading", name="密钥对")).to_be_visible()
    assert user.page.evaluate("document.documentElement.lang") == "zh-CN"
