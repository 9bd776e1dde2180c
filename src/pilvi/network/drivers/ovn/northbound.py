"""Our rows in OVN's northbound database: read as plain values, changed by a list of actions in one transaction."""
from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any
from uuid import UUID

from ovs.db import idl  # type: ignore[import-untyped]

from pilvi.network.drivers.interface import NetworkFailure
from pilvi.network.drivers.ovn.replica import Replica, commit
from pilvi.network.drivers.ovn.rows import CLOUD, COLUMNS, KEY, REFERENCES, Action, Delete, Insert, Link, Name, Row, Rows, Update, Value

SCHEMA_PATH = "/usr/share/ovn/ovn-nb.ovsschema"

SINGLE = {("Logical_Switch_Port", "dhcpv4_options"), ("Logical_Switch_Port", "dhcpv6_options")}
"""References to at most one row: replaced as a whole."""


class Northbound:
    """`port_changed(port id, up)` is called, from the replica's thread, when a port of ours comes up or goes down."""

    def __init__(self, remote: str, cloud_id: str, port_changed: Callable[[str, bool], None]) -> None:
        self.cloud_id = cloud_id
        self.changes = 0
        """Rises with every change of a column that is ours, whoever made it."""
        self._port_changed = port_changed
        self._up: dict[str, bool] = {}
        self._read: dict[UUID, tuple[Row, dict[str, list[UUID]]]] = {}
        columns = {table: [*names, *REFERENCES.get(table, ())] for table, names in COLUMNS.items()}
        columns["Logical_Switch_Port"].append("up")
        self.replica = Replica("northbound", remote, SCHEMA_PATH, columns, self._changed)

    def rows(self) -> Rows:
        """All rows of ours as they are now."""
        return self.replica.call(self._rows)

    def up(self) -> dict[str, bool]:
        """{port id: whether a host serves it}"""
        def read(database: Any) -> dict[str, bool]:
            rows = database.tables["Logical_Switch_Port"].rows.values()
            return {row.external_ids[KEY]: row.up == [True] for row in rows if self._is_port(row)}
        return self.replica.call(read)

    def execute(self, actions: Sequence[Action]) -> None:
        """Do all of it or nothing; NetworkFailure when the database refuses."""
        self.replica.call(lambda database: self._execute(database, actions))

    def key_of(self, table: str, prefix: str) -> str | None:
        """The key of our row whose uuid begins like this (OVN's traces name rows so), or None."""
        def find(database: Any) -> str | None:
            for uuid, row in database.tables[table].rows.items():
                if str(uuid).startswith(prefix) and row.external_ids.get(CLOUD) == self.cloud_id: return str(row.external_ids[KEY])
            return None
        return self.replica.call(find)

    def _changed(self, event: str, row: Any, before: Any) -> None:
        # northd reports every port's state in its row: that is no change of ours to compare again.
        if event != idl.ROW_UPDATE or before._data.keys() != {"up"}:
            self._read.pop(row.uuid, None)
            self.changes += 1
        if row._table.name != "Logical_Switch_Port" or not self._is_port(row): return
        port_id = row.external_ids[KEY]
        if event == idl.ROW_DELETE:
            self._up.pop(port_id, None)
            return
        up, was = row.up == [True], self._up.get(port_id, False)
        self._up[port_id] = up
        if up != was: self._port_changed(port_id, up)

    def _is_port(self, row: Any) -> bool:
        return row.external_ids.get(CLOUD) == self.cloud_id and row.type != "localnet"

    def _rows(self, database: Any) -> Rows:
        names: dict[UUID, str] = {}
        mine: list[tuple[Name, Row, dict[str, list[UUID]]]] = []
        for table in COLUMNS:
            for uuid, row in database.tables[table].rows.items():
                read = self._read.get(uuid) or self._plain(table, row)
                self._read[uuid] = read
                ids = read[0].values["external_ids"]
                assert isinstance(ids, dict)
                if ids.get(CLOUD) != self.cloud_id: continue
                names[uuid] = ids.get(KEY, "")
                mine.append(((table, names[uuid]), *read))
        return {name: Row(row.values, {
            column: keys for column, uuids in references.items() if (keys := frozenset(names[uuid] for uuid in uuids if uuid in names))})
            if references else row for name, row, references in mine}

    def _plain(self, table: str, row: Any) -> tuple[Row, dict[str, list[UUID]]]:
        references = {column: _value(row, column) for column in REFERENCES.get(table, ())}
        return Row({column: _canonical(_value(row, column)) for column in COLUMNS[table]}), {k: v for k, v in references.items() if v}

    def _execute(self, database: Any, actions: Sequence[Action]) -> None:
        transaction = idl.Transaction(database)
        found: dict[Name, Any] = {}
        for table in COLUMNS:
            for row in database.tables[table].rows.values():
                ids = row.external_ids
                if ids.get(CLOUD) == self.cloud_id: found[table, ids.get(KEY, "")] = row
        try:
            for action in actions: _do(database, transaction, found, action)
        except KeyError as error:
            transaction.abort()
            raise NetworkFailure(f"The northbound database changed meanwhile: {error.args[0]} is gone. Try again.") from error
        commit(database, transaction)


def _do(database: Any, transaction: Any, found: dict[Name, Any], action: Action) -> None:
    if isinstance(action, Insert):
        found[action.table, action.key] = transaction.insert(database.tables[action.table])
    row = found[action.table, action.key]
    if isinstance(action, Insert | Update):
        for column, value in action.values.items(): setattr(row, column, list(value) if isinstance(value, tuple) else value)
    elif isinstance(action, Delete):
        row.delete()
    elif isinstance(action, Link):
        table = REFERENCES[action.table][action.column]
        # Of a row that is not there yet, the package sends whole columns only.
        if (action.table, action.column) in SINGLE or row._data is None:
            setattr(row, action.column, [found[table, key] for key in action.add])
            return
        for key in action.add: row.addvalue(action.column, found[table, key])
        for key in action.remove: row.delvalue(action.column, found[table, key])


def _value(row: Any, column: str) -> Any:
    return row._data[column].to_python(lambda value, _: value)


def _canonical(value: Any) -> Value:
    return tuple(value) if isinstance(value, list) else value  # type: ignore[no-any-return]
