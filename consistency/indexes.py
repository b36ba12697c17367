"""The indexes that the models declare and a database lacks, with the SQL for the owner of the tables."""

from collections.abc import Iterator
from typing import Final, NamedTuple

from django.db import connections, models
from django.db.backends.base.schema import BaseDatabaseSchemaEditor

RELATIONS: Final = """
SELECT pg_class.oid, coalesce(parentrelid::oid, 0), relkind, quote_ident(nspname), format('%%I.%%I', nspname, relname)
FROM to_regclass(%s) AS root LEFT JOIN pg_partition_tree(root) ON true
JOIN pg_class ON pg_class.oid = coalesce(relid, root) JOIN pg_namespace ON pg_namespace.oid = relnamespace
ORDER BY level, relname"""
INDEXES: Final = """
SELECT indrelid, relname, indisvalid, indisvalid AND indpred IS NULL AND attname = %s
FROM pg_index JOIN pg_class ON oid = indexrelid LEFT JOIN pg_attribute ON attrelid = indrelid AND attnum = indkey[0]
WHERE indrelid = ANY(%s)
    OR relnamespace = (SELECT relnamespace FROM pg_class WHERE oid = %s) AND relname = ANY(%s)"""


class Relation(NamedTuple):
    """A table, view or partition; `schema` and `name` are quoted, and `name` contains the schema."""

    oid: int
    parent: int
    kind: str
    schema: str
    name: str

    @property
    def partitioned(self) -> bool:
        return self.kind == "p"

    @property
    def indexable(self) -> bool:
        """Return whether PostgreSQL accepts an index; a view or a foreign table has none."""
        return self.kind in ("r", "m", "p")


def find_relations(alias: str, model: type[models.Model]) -> list[Relation]:
    """Return the table of the model, then the partitions of every level; an empty list without the table."""
    with connections[alias].cursor() as cursor:
        cursor.execute(RELATIONS, [model._meta.db_table])
        return [Relation(*row) for row in cursor.fetchall()]


def missing_indexes(alias: str, model: type[models.Model], relations: list[Relation]) -> dict[str, list[str]]:
    """Return the name of each missing or invalid index, with the statements for the owner of the table."""
    if not relations or not relations[0].indexable:
        return {}
    key, indexes = model._meta.pk.column, list(model._meta.indexes)
    with connections[alias].cursor() as cursor:
        oids, names = [relation.oid for relation in relations], [index.name for index in indexes]
        cursor.execute(INDEXES, [key, oids, relations[0].oid, names])
        existing = cursor.fetchall()
    valid = {(oid, name): is_valid for oid, name, is_valid, _ in existing}
    if not any(oid == relations[0].oid and serves_key for oid, _, _, serves_key in existing):
        # The primary key of a partitioned table may begin with another column. Checks look up jobs by id.
        indexes.append(models.Index(fields=[key], name=f"{model._meta.db_table}_{key}"))
    with connections[alias].schema_editor(collect_sql=True) as editor:
        return {
            index.name: [f"{statement};" for statement in _statements(editor, model, index, relations, valid)]
            for index in indexes
            if not valid.get((relations[0].oid, index.name))
        }


def _statements(
    editor: BaseDatabaseSchemaEditor,
    model: type[models.Model],
    index: models.Index,
    relations: list[Relation],
    valid: dict[tuple[int, str], bool],
) -> Iterator[str]:
    table, *partitions = relations
    # The oid keeps the name short, and different for every partition.
    names = {table.oid: index.name} | {relation.oid: f"{index.name}_{relation.oid}" for relation in partitions}
    qualified = {relation.oid: f"{relation.schema}.{names[relation.oid]}" for relation in relations}
    schemas = {relation.oid: relation.schema for relation in relations}
    for oid, name in valid:
        if name == index.name and oid != table.oid and schemas.get(oid, table.schema) == table.schema:
            # The index of a table that had the name of this table before, and is perhaps a partition now.
            yield f"ALTER INDEX {qualified[table.oid]} RENAME TO {name}_{oid}"
    for relation in relations:
        if valid.get((relation.oid, names[relation.oid])) is False:
            yield f"DROP INDEX IF EXISTS {qualified[relation.oid]}"
    # Leaf partitions first: an invalid index that is attached already can only be dropped with the whole tree.
    for relation in sorted(relations, key=lambda relation: relation.partitioned):
        # PostgreSQL refuses CONCURRENTLY for a partitioned table. ONLY creates an index that has no partitions yet.
        statement = index.create_sql(model, editor, concurrently=not relation.partitioned)
        name, only = f"IF NOT EXISTS {names[relation.oid]}", "ONLY " if relation.partitioned else ""
        yield statement.template % (statement.parts | {"name": name, "table": only + relation.name})
    for relation in partitions:
        yield f"ALTER INDEX {qualified[relation.parent]} ATTACH PARTITION {qualified[relation.oid]}"
