"""The layout check finds what it promises to find, and nothing in what is allowed."""
import importlib.util
import sys
from pathlib import Path

import pytest

FILE = Path(__file__).resolve().parents[2] / "tools" / "check_layout.py"
SPEC = importlib.util.spec_from_file_location("check_layout", FILE)
assert SPEC and SPEC.loader
check_layout = importlib.util.module_from_spec(SPEC)
sys.modules["check_layout"] = check_layout  # NamedTuple looks its module up
SPEC.loader.exec_module(check_layout)

GOOD = {
    "__init__.py": "",
    "core/__init__.py": "", "core/errors.py": "", "core/state.py": "def begin(row):\n    row.state = 'X'", "core/db/__init__.py": "",
    "core/db/session.py": "import sqlalchemy", "core/http/__init__.py": "", "core/http/client.py": "from pilvi.core import errors",
    "core/task.py": "from pilvi.core.db import session", "core/resource.py": "from pilvi.core.db import session",
    "network/__init__.py": "", "network/client.py": "from pilvi.core.http import client", "network/addressing.py": "import ipaddress",
    "network/errors.py": "from pilvi.core import errors",
    "telemetry/__init__.py": "", "telemetry/client.py": "from pilvi.core.http import client",
    "compute/__init__.py": "", "compute/errors.py": "from pilvi.core import errors", "compute/config.py": "",
    "compute/sshkeys.py": "import cryptography\nfrom pilvi.compute import errors",
    "compute/resources/__init__.py": "",
    "compute/resources/server.py": "from sqlalchemy.orm import Mapped\nfrom pilvi.compute import errors, sshkeys\n"
                                   "from pilvi.network import client\nfrom pilvi.core.http.routes import Route\n"
                                   "ROUTES = [Route('/a', 'GET', print, 'reader'), "
                                   "Route('/b', 'GET', print, policy='reader')]",
    "compute/server/__init__.py": "", "compute/server/states.py": "",
    "compute/server/boot.py": "from pilvi.compute.resources.server import ROUTES\nfrom pilvi.network import client",
    "compute/scheduler/__init__.py": "", "compute/scheduler/select.py": "import msgspec\nimport heapq",
    "compute/scheduler/worker.py": "from pilvi.core.db import session\nfrom pilvi.compute.scheduler import select",
    "compute/conductor.py": "from pilvi.compute.resources.server import ROUTES",
    "compute/agent/__init__.py": "",
    "compute/agent/boot.py": "import subprocess\nfrom pilvi.compute.drivers import DRIVERS\nfrom pilvi.network import client",
    "compute/drivers/__init__.py": "from pilvi.compute.drivers.simulated import Simulated\nDRIVERS = {'simulated': Simulated}",
    "compute/drivers/interface.py": "from typing import Protocol\nclass Hypervisor(Protocol):\n"
                                    + "".join(f"    def verb{i}(self) -> None: ...\n" for i in range(16)),
    "compute/drivers/simulated.py": "from pilvi.compute.drivers.interface import Hypervisor\nclass Simulated:\n"
                                    + "".join(f"    def verb{i}(self) -> None: ...\n" for i in range(16)),
    "compute/service.py": "from pilvi.compute.resources.server import ROUTES\nfrom pilvi.compute.drivers import DRIVERS",
    "image/__init__.py": "", "image/guest/__init__.py": "", "image/guest/build.py": "import subprocess\nfrom pilvi.image.guest import disk",
    "image/guest/disk.py": "",
    "identity/__init__.py": "", "identity/drivers/__init__.py": "",
    "identity/drivers/sql.py": "import sqlalchemy\nfrom pilvi.core.db import session",
    "run/__init__.py": "", "run/server.py": "from pilvi.compute import service",
    "run/cli.py": "def up():\n    from pilvi.run import server",
}

BAD = [
    ("core/policy.py", "from pilvi.compute import client", "import"),
    ("network/resources/port.py", "from pilvi.compute import client", "import"),            # upwards
    ("compute/resources/server.py", "from pilvi.network.resources import port", "import"),  # not the client
    ("compute/resources/server.py", "import pilvi.network.addressing", "import"),
    ("compute/resources/server.py", "from pilvi.run import server", "import"),
    ("compute/resources/server.py", "from pilvi.compute.agent import boot", "import"),
    ("compute/resources/server.py", "from pilvi.compute.drivers import DRIVERS", "import"),
    ("compute/errors.py", "from pilvi.compute import config", "import"),
    ("compute/config.py", "from pilvi.network import client", "import"),
    ("compute/sshkeys.py", "import subprocess", "import"),
    ("compute/sshkeys.py", "import aiohttp", "import"),
    ("compute/sshkeys.py", "from pilvi.core.db import session", "import"),
    ("compute/scheduler/select.py", "import sqlalchemy", "import"),
    ("compute/scheduler/select.py", "from pilvi.compute.resources import server", "import"),
    ("compute/agent/boot.py", "from pilvi.compute.resources import server", "import"),
    ("compute/agent/boot.py", "from pilvi.core.task import x", "import"),
    ("compute/agent/boot.py", "from sqlalchemy import select", "import"),
    ("compute/agent/boot.py", "from pilvi.compute import conductor", "import"),
    ("compute/drivers/simulated.py", "from pilvi.core.db.session import x", "import"),
    ("compute/drivers/simulated.py", "from pilvi.compute.resources.server import ROUTES", "import"),
    ("compute/conductor.py", "from pilvi.network import client", "import"),
    ("compute/client.py", "from pilvi.compute.resources import server", "import"),
    ("compute/migrations/m0001.py", "from pilvi.core import errors", "import"),
    ("image/guest/build.py", "from pilvi.core import errors", "import"),
    ("image/drivers/file.py", "import sqlalchemy", "import"),
    ("compute/server/boot.py", "def f():\n    import json", "function-import"),
    ("run/server.py", "def f():\n    import json", "function-import"),
    ("compute/server/boot.py", "from .states import x", "import-form"),
    ("compute/server/boot.py", "from json import *", "import-form"),
    ("compute/server/boot.py", "def f(server):\n    server.state = 'ACTIVE'", "state"),
    ("compute/server/boot.py", "def f(server):\n    x, server.busy = 1, None", "state"),
    ("compute/server/boot.py", "def f(db, T):\n    db.execute(update(T).where(1).values(state='X'))", "state"),
    ("compute/service.py", "ROUTES = [Route('/a', 'GET', print)]", "policy"),
    ("compute/utils.py", "x = 1", "name"),
    ("core/common/x.py", "x = 1", "name"),
    ("plumbing/x.py", "x = 1", "layout"),
    ("compute/server/boot.py", "x = 1\n" * 801, "file-size"),
    ("compute/server/boot.py", "def f():\n" + "    print()\n" * 60, "function-size"),
    ("compute/server/boot.py", "class A:\n" + "".join(f"    def m{i}(self): ...\n" for i in range(16)), "class-size"),
    ("compute/drivers/simulated.py", "class A:\n" + "".join(f"    def m{i}(self): ...\n" for i in range(16)), "class-size"),
    ("compute/config.py", "class Options:\n" + "".join(f"    o{i}_seconds: int = 1\n" for i in range(16)), "options"),
    ("compute/server/boot.py", "def f(:", "syntax"),
]


def tree(folder: Path, **changed: str) -> Path:
    for path, code in (GOOD | changed).items():
        file = folder / path
        file.parent.mkdir(parents=True, exist_ok=True)
        says = "" if path.endswith("__init__.py") and not code else '"""What it is.\n\nSource: somewhere.\n"""\n'
        file.write_text(f"{says}{code}\n" if code or says else "")
    return folder


def test_the_allowed_has_no_problem(tmp_path: Path) -> None:
    assert check_layout.check(tree(tmp_path), {}) == []


@pytest.mark.parametrize(("path", "code", "rule"), BAD)
def test_the_forbidden_is_found(tmp_path: Path, path: str, code: str, rule: str) -> None:
    problems = check_layout.check(tree(tmp_path, **{path: code}), {})
    assert [(problem.path, problem.rule) for problem in problems] == [(path, rule)]


def test_docstrings_are_asked_for(tmp_path: Path) -> None:
    folder = tree(tmp_path)
    (folder / "compute" / "conductor.py").write_text("x = 1\n")
    (folder / "compute" / "resources" / "server.py").write_text('"""A server."""\n')
    assert {(problem.path, problem.rule) for problem in check_layout.check(folder, {})} == {
        ("compute/conductor.py", "docstring"), ("compute/resources/server.py", "source")}


def test_core_has_a_budget(tmp_path: Path) -> None:
    many = {f"core/part{i}.py": "x = 1\n" * 790 for i in range(8)}
    assert [problem.rule for problem in check_layout.check(tree(tmp_path, **many), {})] == ["core-size"]


def test_an_exception_silences_one_rule_of_one_file_and_must_be_needed(tmp_path: Path) -> None:
    folder = tree(tmp_path, **{"compute/service.py": "ROUTES = [Route('/a', 'GET', print)]"})
    assert check_layout.check(folder, {("policy", "compute/service.py"): "why"}) == []
    problems = check_layout.check(folder, {("policy", "compute/service.py"): "why", ("state", "compute/service.py"): "why"})
    assert [problem.rule for problem in problems] == ["exception"]
