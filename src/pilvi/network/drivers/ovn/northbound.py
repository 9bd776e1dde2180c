"""Our rows in OVN's northbound database: read as plain values, changed by a list of actions in one transaction."""
from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any
from uuid import UUID

from ovs.db import idl  # type: ignore[import-untyped]

from pilvi.network.drivers.ovn.replica import ANSWER_SECONDS, Moved, Replica, commit
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
        self._ports: dict[UUID, tuple[str, bool]] = {}
        self._uuids: dict[Name, UUID] = {}
        """As of the last `rows`."""
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
            rows = database.tables["Logical_Switch_Port"].rows
            return {port_id: up for uuid, (port_id, up) in self._ports.items() if uuid in rows}
        return self.replica.call(read)

    def execute(self, actions: Sequence[Action]) -> None:
        """Do all of it or nothing, to the rows that `rows` told last; NetworkFailure when the database refuses, Moved when they moved."""
        self.replica.call(lambda database: self._execute(database, actions), ANSWER_SECONDS * 2)

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
        if event == idl.ROW_DELETE:
            self._ports.pop(row.uuid, None)
            return
        port_id, up = row.external_ids[KEY], row.up == [True]
        was = self._ports.get(row.uuid, (port_id, False))[1]
        self._ports[row.uuid] = port_id, up
        if up != was: self._port_changed(port_id, up)

    def _is_port(self, row: Any) -> bool:
        return bool(row.external_ids.get(CLOUD) == self.cloud_id and row.type != "localnet")

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
        self._uuids = {(row[0][0], key): uuid for row, (uuid, key) in zip(mine, names.items(), strict=True)}
        return {name: Row(row.values, {
            column: keys for column, uuids in references.items() if (keys := frozenset(names[uuid] for uuid in uuids if uuid in names))})
            if references else row for name, row, references in mine}

    def _plain(self, table: str, row: Any) -> tuple[Row, dict[str, list[UUID]]]:
        references = {column: _value(row, column) for column in REFERENCES.get(table, ())}
        return Row({column: _canonical(_value(row, column)) for column in COLUMNS[table]}), {k: v for k, v in references.items() if v}

    def _execute(self, database: Any, actions: Sequence[Action]) -> None:
        transaction = idl.Transaction(database)
        inserted: dict[Name, Any] = {}

        def find(name: Name) -> Any:
            return inserted[name] if name in inserted else database.tables[name[0]].rows[self._uuids[name]]
        try:
            for action in actions:
                if isinstance(action, Insert): inserted[action.table, action.key] = transaction.insert(database.tables[action.table])
                _do(find, action)
        except Exception as error:
            # A transaction that is neither committed nor aborted would block all later ones.
            transaction.abort()
            if not isinstance(error, KeyError): raise
            raise Moved(f"The northbound database changed meanwhile: {error.args[0]} is gone.") from error
        commit(database, transaction)


def _do(find: Callable[[Name], Any], action: Action) -> None:
    row = find((action.table, action.key))
    match action:
        case Insert() | Update():
            for column, value in action.values.items(): setattr(row, column, list(value) if isinstance(value, tuple) else value)
        case Delete(): row.delete()
        case Link():
            table = REFERENCES[action.table][action.column]
            # Of a row that is not there yet, the package sends whole columns only.
            if (action.table, action.column) in SINGLE or row._data is None:
                setattr(row, action.column, [find((table, key)) for key in action.add])
                return
            for key in action.add: row.addvalue(action.column, find((table, key)))
            for key in action.remove: row.delvalue(action.column, find((table, key)))


def _value(row: Any, column: str) -> Any:
    return row._data[column].to_python(lambda value, _: value)


def _canonical(value: Any) -> Value:
    return tuple(value) if isinstance(value, list) else value
