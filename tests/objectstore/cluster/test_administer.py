"""Rings from an administrator's hand, and the file with which a node joins."""
from __future__ import annotations

from pathlib import Path

import msgspec
import pytest
from tests.objectstore.storing import options

from pilvi.objectstore.cluster import administer
from pilvi.objectstore.cluster.open import open_store


def test_a_store_grows_by_a_node_and_loses_it_again(tmp_path: Path) -> None:
    store, node = tmp_path / "store", tmp_path / "node"
    open_store(store, options())
    administer.add(store, "control", "http://10.0.0.1:6200", {"d1": 200.0}, zone=1)
    administer.add(store, "store2", "http://10.0.0.2:6200", {"d1": 100.0, "d2": 100.0}, zone=2)
    administer.tune(store, replicas=2.0, min_part_hours=0)
    moved = administer.rebalance(store)
    assert set(moved) == {"account", "container", "object"}
    ring, found = administer.reports(store)["object"]
    assert ring.version == 2 and found.dispersion == 0 and set(found.parts) == {0, 1, 2}
    assert {device.url for device in ring.devices if device} == {"http://10.0.0.1:6200", "http://10.0.0.2:6200"}

    content = administer.node_file(store, "store2", "10.0.0.2:6200", options())
    administer.accept(node, content)
    told = administer.known(node)
    assert (told.name, told.storage.node_listen, told.storage.devices) == ("store2", "10.0.0.2:6200", 0)
    assert (node / administer.NODE_FILE).stat().st_mode & 0o77 == (node / "key").stat().st_mode & 0o77 == 0
    assert (node / "key").read_text() == (store / "key").read_text()
    assert administer.rings(node) == administer.rings(store)

    administer.weigh(store, "store2", "d1", 0.0)
    administer.weigh(store, "store2", "d2", None)
    administer.tune(store, replicas=1.0)
    administer.rebalance(store)
    assert set(administer.reports(store)["object"][1].parts) == {0}
    with pytest.raises(administer.NoSuchDevice): administer.weigh(store, "store2", "d2", 1.0)
    with pytest.raises(msgspec.DecodeError): administer.accept(node, b"{}")
