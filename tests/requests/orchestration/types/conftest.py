"""A cloud in this process, and a bench on which one resource of a stack is made, changed and ended by hand."""
from __future__ import annotations

import time
from collections.abc import Iterator
from dataclasses import dataclass, field, replace
from typing import Any

import pytest
from tests.crash.inside import Cloud

from pilvi.core.context import Call
from pilvi.core.crypto import new_id
from pilvi.core.errors import NotFound
from pilvi.orchestration.types import type_of
from pilvi.orchestration.types.interface import Work, take_all

SECONDS = 60.0


@dataclass
class Others:
    """What types ask of the engine: which other resources there are."""
    works: list[Work] = field(default_factory=list)

    def known(self, physical_id: str) -> bool:
        return any(work.physical_id == physical_id for work in self.works)

    def sibling(self, work: Work, reference: str) -> Work | None:
        return next((other for other in self.works if other.physical_id == reference), None)


@dataclass
class Bench:
    """Resources of one stack, as `user` ("demo" or "admin")."""
    cloud: Cloud
    user: str
    project_id: str
    engine: Others = field(default_factory=Others)

    def ask(self, service: str, method: str, path: str, body: Any = None, **query: Any) -> Any:
        return self.cloud.ask(self.user, service, method, path, body, **query)

    def work(self, kind: str, name: str, properties: dict[str, Any]) -> Work:
        """A resource that is not there yet."""
        kept = take_all(type_of(kind).properties, properties)
        type_of(kind).validate(kept)
        return Work(application=self.cloud.compute, call=Call(token=self.cloud.tokens[self.user]), resource_id=new_id(), name=name,
                    stack_id="stack", stack_name="stack", project_id=self.project_id, properties=kept, began_at=time.time(),
                    engine=self.engine)  # type: ignore[arg-type]

    def make(self, kind: str, name: str = "thing", /, **properties: Any) -> Work:
        """A resource that has been made."""
        work = self.work(kind, name, properties)
        type_of(kind).create(work)
        self.wait(lambda: type_of(kind).created(work))
        assert work.physical_id
        type_of(kind).check(work)
        self.engine.works.append(work)
        return work

    def change(self, kind: str, work: Work, **properties: Any) -> Work:
        """The resource after an update in place to these properties; refuses changes that need a replacement."""
        wanted = take_all(type_of(kind).properties, properties)
        changes = {name: value for name, value in wanted.items() if value != work.properties[name]}
        assert all(type_of(kind).properties[name].update for name in changes)
        assert not type_of(kind).needs_replacement(work, changes)
        work = replace(work, properties=wanted, began_at=time.time())
        type_of(kind).update(work, changes)
        self.wait(lambda: type_of(kind).updated(work, changes))
        type_of(kind).check(work)
        self.engine.works = [other for other in self.engine.works if other.resource_id != work.resource_id] + [work]
        return work

    def end(self, kind: str, work: Work) -> None:
        """Ends the resource; twice, since a repetition is no error."""
        for _ in range(2):
            type_of(kind).delete(work)
            self.wait(lambda: type_of(kind).deleted(work))
        self.engine.works = [other for other in self.engine.works if other.resource_id != work.resource_id]

    def get(self, kind: str, work: Work, name: str) -> Any:
        """An attribute."""
        assert name in type_of(kind).attributes
        return type_of(kind).attribute(work, name)

    def gone(self, kind: str, work: Work) -> bool:
        """Has the thing ended?"""
        try: return not type_of(kind).attribute(work, "show")
        except NotFound: return True

    def wait(self, condition: Any) -> None:
        end = time.monotonic() + SECONDS
        while not condition():
            assert time.monotonic() < end
            time.sleep(0.02)


@pytest.fixture(scope="module")
def inside() -> Iterator[Cloud]:
    """One cloud for all tests of a file: what a test makes it ends. Not for more: two clouds in one process would talk to each other."""
    cloud = Cloud(hosts=1)
    yield cloud
    cloud.close()


def bench_of(cloud: Cloud, user: str) -> Bench:
    projects = cloud.ask(user, "identity", "GET", "/v3/auth/projects")["projects"]
    return Bench(cloud, user, next(project["id"] for project in projects if project["name"] == user))


@pytest.fixture
def demo(inside: Cloud) -> Bench:
    return bench_of(inside, "demo")


@pytest.fixture
def admin(inside: Cloud) -> Bench:
    return bench_of(inside, "admin")
