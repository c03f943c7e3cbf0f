"""Indexes that each database can search by."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from django.db import models
from django.db.backends.ddl_references import Columns

if TYPE_CHECKING:
    from django.db.backends.base.schema import BaseDatabaseSchemaEditor


class PrefixIndex(models.Index):
    """An index of one text column for ``istartswith`` and ``iexact``, as Django words them for each database.

    PostgreSQL compares ``UPPER(column)`` by ``LIKE``, which an index serves only by ``text_pattern_ops`` (unless the
    database sorts by bytes); SQLite's ``LIKE`` doesn't tell ASCII's cases apart, nor does an index that is ``NOCASE``
    (its documentation, "The LIKE optimization"). MariaDB and MySQL sort by a collation that doesn't, in any index.
    """

    def create_sql(
        self, model: type[models.Model], schema_editor: BaseDatabaseSchemaEditor, using: str = "", **kwargs: Any
    ) -> Any:
        """Django's statement, with the column as the database is to sort it.

        A ``Statement``, and no text: SQLite makes tables anew under another name, and renames what stands in it.
        """
        statement: Any = super().create_sql(model, schema_editor, using, **kwargs)
        shape = _SHAPES.get(schema_editor.connection.vendor, "{}")
        columns = statement.parts["columns"]
        statement.parts["columns"] = Columns(
            columns.table, columns.columns, lambda name: shape.format(schema_editor.quote_name(name))
        )
        return statement


_SHAPES = {"postgresql": "UPPER({}) text_pattern_ops", "sqlite": "{} COLLATE NOCASE"}
