"""Checks that the package has the shape it promises: what lies where, who imports whom, how long things are.

tools/check_layout.py [FOLDER]    prints `path:line: rule: message` for each problem; exit status 1 if there is one

The rules are the tables below; the reasons are in docs/architecture.md. A deviation is a line in EXCEPTIONS with its reason, and that list
may only shrink: an exception that is no longer needed is a problem too.
"""
from __future__ import annotations

import ast
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

PACKAGE = Path(__file__).resolve().parent.parent / "src" / "pilvi"
ORDER = ("identity", "objectstore", "image", "placement", "network", "volume", "compute", "telemetry", "orchestration", "dashboard")
"""A service may call those before it, through their client.py."""

EXCEPTIONS: dict[tuple[str, str], str] = {}
"""{(rule, path below the package): reason}"""

BAD_NAMES = {"utils", "common", "helpers", "misc", "base", "manager"}
FILE_LINES, FUNCTION_LINES, PUBLIC_METHODS, OPTIONS, CORE_LINES = 800, 60, 15, 15, 6000
STATE_WRITERS = {"core/state.py", "core/task.py"}  # a task's own state is not a resource's
DATABASE = {"core/db", "core/resource.py", "core/listing.py", "core/state.py", "core/task.py"}
"""What of core speaks to the database."""
PURE_LIBRARIES = {"msgspec", "cryptography", "bcrypt", "yaml", "yaql"}
"""They compute only, so logic may use them."""
OUTSIDE = {"subprocess", "socket", "sqlite3", "asyncio", "threading", "multiprocessing"}
"""What of the standard library logic may not use."""


BACKEND_CALLERS = {"resources", "life", "conductor"}
"""Where a backend runs beside the API (network), these are given one and name its interface; only the manifest and run/ choose which."""


class Rule(NamedTuple):
    """What the files of one kind may import."""

    own: frozenset[str]
    """Kinds of the same service."""
    core: str = "all"
    """all | no database | errors (core/errors.py, and core/pattern.py: users' regular expressions) | database | none"""
    clients: bool = False
    """client.py of the services below."""
    libraries: str = "any"
    """any | no sqlalchemy | pure"""


def rule(own: str, core: str = "all", clients: bool = False, libraries: str = "any") -> Rule:
    return Rule(frozenset(own.split()), core, clients, libraries)


SERVICE_RULES: dict[str, Rule] = {
    "about": rule("", "none", libraries="pure"),                                       # __init__.py
    # Only object storage has "daemon" files: its manifest starts them, its options hold those of its cluster.
    "manifest": rule("config errors resources life logic conductor agent drivers client migrations daemon", clients=True),  # service.py
    "config": rule("daemon"),
    "errors": rule(""),
    "resources": rule("config errors resources life logic", clients=True),
    "life": rule("config errors resources life logic", clients=True),                  # a thing's states and verbs
    "logic": rule("logic errors", "errors", libraries="pure"),
    "conductor": rule("config errors resources life logic"),
    "agent": rule("config errors logic agent drivers", "no database", True, "no sqlalchemy"),
    "drivers": rule("errors logic drivers", "no database", True, "no sqlalchemy"),
    "client": rule("errors", "no database", libraries="no sqlalchemy"),
    "migrations": rule("migrations", "database"),
    "tool": rule("tool", "none", libraries="no sqlalchemy"),                           # knows nothing else of Pilvi
    "daemon": rule("about config errors resources life logic conductor agent drivers client daemon", clients=True),
}
ENTRIES = {"__init__.py": "about", "service.py": "manifest", "config.py": "config", "errors.py": "errors", "resources": "resources",
           "conductor.py": "conductor", "agent": "agent", "drivers": "drivers", "client.py": "client", "migrations": "migrations"}
"""Entries of every service folder. A folder that holds states.py is a thing with a life; any other name is logic."""
KINDS = {"identity/token": "life", "identity/federation": "life", "image/guest": "tool", "telemetry/collect": "life",
         "identity/directory": "life",  # keeps the rows that stand for the entries of LDAP servers
         "orchestration/types": "life", "dashboard/session.py": "life", "dashboard/events.py": "life",
         # routes that are no resource: the APIs and files behind the page
         "dashboard/proxy.py": "life", "dashboard/elsewhere.py": "life", "dashboard/pages.py": "life",
         "dashboard/single_sign_on.py": "life",
         "network/topology.py": "life", "network/reconciler.py": "life", "network/extensions.py": "resources",
         "identity/drivers/sql.py": "life", "telemetry/drivers/sql.py": "life"}
"""Entries whose name does not tell: what they are instead. The sql drivers are the ones whose backend is the service's own database."""
FUNCTION = (ast.FunctionDef, ast.AsyncFunctionDef)
DAEMON_SERVICES = {"objectstore"}  # its proxy is hand-written and its folders are its daemons


class Problem(NamedTuple):
    path: str
    line: int
    rule: str
    message: str


def kind_of(package: Path, path: str) -> str:
    """What a file (below the package) is: core, run, or its kind within its service."""
    parts = path.split("/")
    if parts[0] not in ORDER:
        return parts[0] if len(parts) > 1 else "about"
    for known, kind in KINDS.items():
        if path == known or path.startswith(known + "/"):
            return kind
    entry = parts[1]
    if entry in ENTRIES:
        return ENTRIES[entry]
    if parts[0] in DAEMON_SERVICES:
        return "daemon"
    if len(parts) > 2 and ((package / parts[0] / entry / "states.py").exists() or parts[-1] == "worker.py"):
        return "life"
    return "logic"


def imports(package: Path, tree: ast.Module) -> Iterator[tuple[int, str]]:
    """(line, target) of each import; ours are paths below the package, libraries are `library:NAME`."""
    def ours(name: str) -> str | None:
        stem = "/".join(name.split(".")[1:])
        if (package / f"{stem}.py").exists():
            return f"{stem}.py"
        return f"{stem}/__init__.py" if (package / stem).is_dir() and stem else None

    for node in ast.walk(tree):
        if isinstance(node, ast.ImportFrom):
            candidates = [(f"{node.module}.{alias.name}", node.module or "") for alias in node.names]
        elif isinstance(node, ast.Import):
            candidates = [(alias.name, alias.name) for alias in node.names]
        else:
            continue
        for name, module in candidates:
            if name.startswith("pilvi."):
                yield node.lineno, ours(name) or ours(module) or "/".join(module.split(".")[1:]) + ".py"
            else:
                yield node.lineno, f"library:{module.split('.')[0]}"


def check_import(package: Path, path: str, target: str) -> str | None:
    """Why this file may not import that, or None."""
    kind, service, to = kind_of(package, path), path.split("/")[0], target.split("/")[0]
    if kind == "run" or kind not in {"core", *SERVICE_RULES}:
        return None
    if kind == "core":
        return None if target.startswith("library:") or to == "core" else "core knows no service"
    allowed = SERVICE_RULES[kind]
    if target.startswith("library:"):
        name = target.removeprefix("library:")
        pure = (name in sys.stdlib_module_names and name not in OUTSIDE) or name in PURE_LIBRARIES
        if (allowed.libraries == "pure" and not pure) or (allowed.libraries != "any" and name in {"sqlalchemy", "alembic"}):
            return f"{kind} may not import {name}"
        return None
    if to == "core":
        database = any(target == entry or target.startswith(entry + "/") for entry in DATABASE)
        fits = {"all": True, "no database": not database, "none": False,
                "errors": target in ("core/errors.py", "core/pattern.py"), "database": target.startswith("core/db")}
        return None if fits[allowed.core] else f"{kind} may import of core: {allowed.core}; not {target}"
    if to == service:
        if target == f"{service}/drivers/interface.py" and kind in BACKEND_CALLERS: return None
        other = kind_of(package, target)
        return None if other in allowed.own or (other == "about" and service not in DAEMON_SERVICES and not allowed.own) else (
            f"{kind} may not import {other} ({target})")
    if to not in ORDER:
        return f"a service may not import {target}"
    if target != f"{to}/client.py":
        return f"of another service only client.py, not {target}"
    if ORDER.index(to) > ORDER.index(service):
        return f"{service} is below {to}: what travels upwards is an event"
    return None if allowed.clients else f"{kind} may not call other services"


def check_statements(path: str, tree: ast.Module) -> Iterator[Problem]:
    """Imports in functions, writers of states, routes without a policy."""
    functions = [node for node in ast.walk(tree) if isinstance(node, FUNCTION)]
    inside = {id(child) for function in functions for child in ast.walk(function)}
    service = path.split("/")[0] in ORDER
    for node in ast.walk(tree):
        if isinstance(node, ast.Import | ast.ImportFrom):
            if id(node) in inside and path != "run/cli.py":
                yield Problem(path, node.lineno, "function-import", "imports stand at the top of the module")
            if isinstance(node, ast.ImportFrom) and (node.level or node.names[0].name == "*"):
                yield Problem(path, node.lineno, "import-form", "imports are absolute and by name")
        elif isinstance(node, ast.Assign | ast.AnnAssign) and path not in STATE_WRITERS:
            for target in ast.walk(ast.Tuple(node.targets if isinstance(node, ast.Assign) else [node.target])):
                if (isinstance(target, ast.Attribute) and target.attr in {"state", "busy"} and isinstance(target.ctx, ast.Store)
                        and not (isinstance(target.value, ast.Name) and target.value.id == "self")):
                    yield Problem(path, node.lineno, "state", f"only core/state.py writes .{target.attr}")
        elif isinstance(node, ast.Call):
            name = node.func.attr if isinstance(node.func, ast.Attribute) else node.func.id if isinstance(node.func, ast.Name) else ""
            words = {keyword.arg for keyword in node.keywords}
            if name == "values" and {"state", "busy"} & words and path not in STATE_WRITERS and "update(" in ast.unparse(node.func):
                yield Problem(path, node.lineno, "state", "only core/state.py updates state and busy")
            if name == "Route" and service and len(node.args) < 4 and not {None, "policy"} & words:
                yield Problem(path, node.lineno, "policy", "a route names its policy")


def is_protocol(node: ast.ClassDef, kind: str = "") -> bool:
    """Does the class only say what others do? (The interface of a stack's resource types has defaults: a type overrides a few hooks.)"""
    if kind == "types" and node.name == "ResourceType": return True
    return any(ast.unparse(parent).split("[")[0].endswith("Protocol") for parent in node.bases)


def public_methods(node: ast.ClassDef) -> set[str]:
    return {item.name for item in node.body if isinstance(item, FUNCTION) and not item.name.startswith("_")}


def asked_of_drivers(package: Path, path: str) -> set[str]:
    """The methods a driver must have because its interface has them; they do not count as its own. A stack's resource types are drivers
    in this sense."""
    kind = next((kind for kind in ("drivers", "types") if f"/{kind}/" in path), "")
    interface = package / path.split("/")[0] / kind / "interface.py"
    if not kind or not interface.exists():
        return set()
    protocols = [node for node in ast.parse(interface.read_text()).body if isinstance(node, ast.ClassDef) and is_protocol(node, kind)]
    return {name for protocol in protocols for name in public_methods(protocol)}


def check_sizes(path: str, text: str, tree: ast.Module, asked: set[str]) -> Iterator[Problem]:
    """Lengths of files and functions, widths of classes, numbers of options."""
    if (lines := text.count("\n")) > FILE_LINES:
        yield Problem(path, lines, "file-size", f"{lines} lines, at most {FILE_LINES}")
    for node in ast.walk(tree):
        if isinstance(node, FUNCTION) and (length := (node.end_lineno or 0) - node.lineno + 1) > FUNCTION_LINES:
            yield Problem(path, node.lineno, "function-size", f"{node.name} has {length} lines, at most {FUNCTION_LINES}")
        if isinstance(node, ast.ClassDef):
            methods = public_methods(node) - asked
            if len(methods) > PUBLIC_METHODS and not is_protocol(node, path.split("/")[-2] if "/" in path else ""):
                yield Problem(path, node.lineno, "class-size", f"{node.name} has {len(methods)} public methods, at most {PUBLIC_METHODS}")
            options = [item for item in node.body if isinstance(item, ast.AnnAssign)]
            if path.endswith("/config.py") and path.split("/")[0] in ORDER and len(options) > OPTIONS:
                yield Problem(path, node.lineno, "options", f"{len(options)} options, at most {OPTIONS}")


def check_file(package: Path, file: Path) -> Iterator[Problem]:
    """Everything about one file."""
    path, text = file.relative_to(package).as_posix(), file.read_text()
    try:
        tree = ast.parse(text)
    except SyntaxError as error:
        yield Problem(path, error.lineno or 1, "syntax", error.msg)
        return
    parts = path.removesuffix(".py").split("/")
    if bad := BAD_NAMES & set(parts):
        yield Problem(path, 1, "name", f"'{bad.pop()}' says nothing: name it by what it holds")
    if len(parts) > 1 and parts[0] not in {"core", "run", *ORDER}:
        yield Problem(path, 1, "layout", f"'{parts[0]}' is neither core, run nor a service")
    document = ast.get_docstring(tree)
    if text.strip() and not document:
        yield Problem(path, 1, "docstring", "the module does not say what it is")
    if len(parts) > 2 and parts[0] in ORDER and parts[1] == "resources" and parts[-1] != "__init__" and "Source:" not in (document or ""):
        yield Problem(path, 1, "source", "a resource's docstring names the API section it follows: `Source: …`")
    for line, target in imports(package, tree):
        if why := check_import(package, path, target):
            yield Problem(path, line, "import", why)
    yield from check_statements(path, tree)
    yield from check_sizes(path, text, tree, asked_of_drivers(package, path))


def check(package: Path, exceptions: dict[tuple[str, str], str]) -> list[Problem]:
    """All problems of a package, in the order of its files."""
    files = sorted(path for path in package.rglob("*.py") if not {"__pycache__", "node_modules"} & set(path.parts))
    problems = [problem for file in files for problem in check_file(package, file)]
    core_lines = sum(file.read_text().count("\n") for file in files if file.is_relative_to(package / "core"))
    if core_lines > CORE_LINES:
        problems.append(Problem("core", 1, "core-size", f"{core_lines} lines, at most {CORE_LINES}"))
    met = {(problem.rule, problem.path) for problem in problems}
    problems = [problem for problem in problems if (problem.rule, problem.path) not in exceptions]
    unneeded = exceptions.keys() - met
    return problems + [Problem(path, 1, "exception", f"needs no exception from '{name}' any more") for name, path in sorted(unneeded)]


def main() -> int:
    package = Path(sys.argv[1]) if len(sys.argv) > 1 else PACKAGE
    problems = check(package, EXCEPTIONS)
    for problem in problems:
        print(f"{package / problem.path}:{problem.line}: {problem.rule}: {problem.message}")
    return 1 if problems else 0


if __name__ == "__main__":
    sys.exit(main())
