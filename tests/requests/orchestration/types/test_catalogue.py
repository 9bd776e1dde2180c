"""All resource types: each can be loaded and shown, and those whose service is missing are known and not offered."""
from __future__ import annotations

import email

import pytest
from tests.requests.orchestration.types.conftest import Bench

from pilvi.core.errors import Failure
from pilvi.orchestration.types import TYPES, offered, type_of
from pilvi.orchestration.types.nova import user_data


@pytest.mark.parametrize("name", sorted(TYPES))
def test_every_type_can_be_shown(name: str) -> None:
    kind = type_of(name)
    assert kind.name == name
    for one in (*kind.properties.values(), *kind.attributes.values()): assert one.shown()
    if not kind.requires_service or offered(kind): assert kind.description


def test_types_without_a_service(demo: Bench) -> None:
    listed = demo.ask("orchestration", "GET", "/v1/resource_types")["resource_types"]
    assert {"OS::Nova::Server", "OS::Neutron::Net"} <= set(listed)
    for name in ("OS::Octavia::Pool", "OS::Neutron::TaaS::TapFlow", "OS::Cinder::QoSSpecs"):
        assert name in TYPES and name not in listed
        with pytest.raises(Failure, match="is not available for resource type"):
            demo.ask("orchestration", "GET", f"/v1/resource_types/{name}")
    body = {"stack_name": "x", "template": {"heat_template_version": "2021-04-16", "resources": {"pool": {"type": "OS::Octavia::Pool"}}}}
    with pytest.raises(Failure, match="Service octavia is not available"): demo.ask("orchestration", "POST", "/v1/stacks", body)


def test_user_data() -> None:
    """RAW is left alone; the others are MIME archives, in which a script of the user's stays what it was."""
    assert user_data.build("#!/bin/sh\n", "RAW", {"a": 1}) == "#!/bin/sh\n"
    parts = {part.get_filename(): part for part in email.message_from_string(user_data.build("echo ä", "HEAT_CFNTOOLS", {"a": 1})).walk()}
    script = parts["cfn-userdata"].get_payload(decode=True)
    assert isinstance(script, bytes) and script.decode() == "echo ä" and parts["cfn-init-data"].get_payload() == '{"a":1}'
    inner = user_data.build("#!/bin/sh\n", "SOFTWARE_CONFIG", {})
    outer = user_data.build(inner, "SOFTWARE_CONFIG", {})
    kinds = [part.get_content_type() for part in email.message_from_string(outer).walk()]
    assert kinds.count("text/part-handler") == 2 and kinds.count("multipart/mixed") == 1


def test_the_part_handler_keeps_files(tmp_path: object) -> None:
    """What cloud-init would run, run."""
    code = user_data.PART_HANDLER.replace(user_data.FOLDER, f"{tmp_path}/kept")
    scope: dict[str, object] = {}
    exec(compile(code, "part-handler", "exec"), scope)
    handle = scope["handle_part"]
    assert callable(handle) and callable(scope["list_types"])
    for name in ("__begin__", "../cfn-userdata", "__end__"):
        handle(None, name if name.startswith("__") else "text/x-cfninitdata", name, "#!/bin/sh\necho it runs\n")
    with open(f"{tmp_path}/kept/cfn-userdata", encoding="utf-8") as file: assert "it runs" in file.read()
