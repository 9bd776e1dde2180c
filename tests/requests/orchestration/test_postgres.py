"""Stacks on PostgreSQL: where claims are real row locks and JSON and booleans are other types."""
from __future__ import annotations

import json

import pytest
from tests.contract.cloud_in_process import running_cloud
from tests.postgres_server import new_database
from tests.requests.orchestration.conftest import VERSION, Stacks, thing

NESTED = json.dumps({"heat_template_version": VERSION, "resources": {"r": {"type": "OS::Heat::RandomString"}}})


@pytest.mark.slow
def test_a_stack_lives_on_postgres(postgres_url: str) -> None:
    with running_cloud(new_database(postgres_url, "stacks")) as cloud:
        stacks = Stacks(cloud)
        group = {"type": "OS::Heat::ResourceGroup", "properties": {"count": 3, "resource_def": {"type": "n.yaml"}}}
        stacks.make("pg", {"a": thing("1"), "b": thing(depends_on="a"), "g": group, "net": {"type": "OS::Neutron::Net"}},
                    files={"n.yaml": NESTED}, tags="t")
        stacks.change("pg", {"a": thing("2"), "b": thing(fail=True, update_replace_value="x", depends_on="a")}, disable_rollback=False,
                      files={"n.yaml": NESTED}, wait="ROLLBACK_COMPLETE")
        assert set(stacks.resources("pg")) == {"a", "b", "g", "net"} and len(stacks.networks()) == 1
        stacks.act("pg", "check", "CHECK_COMPLETE")
        config = stacks.ask("POST", "/software_configs", {"name": "c", "config": "x"}).body["software_config"]["id"]
        made = stacks.ask("POST", "/software_deployments", {"config_id": config, "server_id": "s"})
        assert made.status == 200 and len(stacks.ask("GET", "/software_deployments/metadata/s").body["metadata"]) == 1
        stacks.remove("pg")
        assert stacks.networks() == []
