"""The list of anomalies, however many there are and whatever is asked for at once: kind by kind, merged by time.

A kind is a column that PostgreSQL keeps: all that a list can be asked for, but a range of time and the beginning of a
text. There are few kinds, and each is read in the list's order by one index. So no combination needs an index of its
own, and what goes together in the data (one check has all that is new) misleads no plan.
"""

from collections.abc import Iterator
from functools import cached_property
from typing import Any, Final, Generic, NamedTuple, TypeAlias, TypeVar

from django.db import connections
from django.db.models import BooleanField, F, Func, Model, QuerySet
from django.db.models.expressions import RawSQL
from django.db.models.sql.where import AND, OR, WhereNode

from consistency.history.hops import hopping
from consistency.history.silence import MEMORY
from consistency.models.history import OPEN, WITHIN, Anomaly, State

Row = TypeVar("Row", bound=Model)
Condition: TypeAlias = Any
"""A node of a QuerySet's WHERE: one with children, or a lookup."""

FEW: Final = 60
"""Kinds that are merged row by row, each by a plan of its own: a fifth of a millisecond each."""
WIDE: Final = 8
"""Times as many are looked at, of more kinds, as are wanted: most kinds have few."""
_KINDS: Final = hopping(Anomaly._meta.db_table, "kind")


class Kind(NamedTuple):
    """One kind of anomalies, as `consistency.models.history.kind` writes it."""

    check_name: str
    database: str
    severity: int
    state: str
    back: bool
    """Whether they have come back."""
    agreed: bool
    """Whether they are open and somebody acknowledged them, until whenever."""
    assigned: bool
    text: str
    assignee: str | None = None
    """Whom they are all assigned to, if it is a kind of one person's."""

    @classmethod
    def of(cls, text: str) -> "Kind":
        """Read it."""
        check, database, severity, state, back, agreed, assigned = text.split(WITHIN)
        return cls(check, database, int(severity), state, bool(back), bool(agreed), bool(assigned), text)

    def of_person(self, name: str) -> "Kind":
        """Those of them that are assigned to this one."""
        return self._replace(assignee=name, text=WITHIN.join((self.text, name)))


def kinds() -> list[Kind]:
    """All that there are."""
    with connections[MEMORY].cursor() as cursor:
        cursor.execute(_KINDS)
        return [Kind.of(text) for (text,) in cursor.fetchall()]


class Group(NamedTuple):
    """Kinds of which the same is asked."""

    sql: str
    """The question for the keys of one, which is its first parameter, in the list's order."""
    kinds: list[str]
    others: list[Any]
    """Its other parameters."""
    by_key: bool
    """Whether it names rows by their keys, which are looked up once and not for each kind."""

    @property
    def parts(self) -> list[tuple[str, list[Any]]]:
        """The question for each, or for all at once."""
        if self.by_key:
            return [(self.sql.replace("= %s", "= ANY(%s::text[])", 1), [self.kinds, *self.others])]
        return [(self.sql, [kind, *self.others]) for kind in self.kinds]

    def together(self, condition: str) -> str:
        """One for all, with this condition too and a limit for each."""
        if self.by_key:
            return f"(SELECT * FROM ({self.parts[0][0]}) AS one {condition} LIMIT %s)"  # noqa: S608 - compiled
        one = self.sql.replace("%s", "of.kind", 1)
        each = f"LATERAL (SELECT * FROM ({one}) AS one {condition} LIMIT %s) AS part"  # noqa: S608 - compiled
        return f"SELECT part.* FROM unnest(%s::text[]) AS of(kind), {each}"  # noqa: S608 - compiled


class Among(Func):
    """Whether a key is in an array: IN would be a join, which could go by the list again."""

    template, arg_joiner = "%(expressions)s)", " = ANY("
    output_field = BooleanField()


def order_of(found: QuerySet[Row]) -> list[str]:
    """What a list goes by, each said once: Django's admin says it twice."""
    return list(dict.fromkeys(str(name) for name in found.query.order_by or found.model._meta.ordering or ()))


class Listed(Generic[Row]):
    """A list in its order, to be had in parts; one that goes by keys, or of other rows, is asked as it is."""

    def __init__(self, found: QuerySet[Row]) -> None:
        self.found = found
        self.order = order_of(found)
        self.whole = found.model is not Anomaly or any(_is_by_key(one) for one in _demanded(found.query.where))

    def rows(self, start: int, stop: int) -> list[Row]:
        """Those from one place to before another."""
        if self.whole:
            return list(self.found[start:stop])
        if not self._groups:
            return []
        sql, parameters = self._merged(stop) if self._kinds_left <= FEW else self._of_many(stop)
        page = f"ARRAY(SELECT id FROM ({sql}) AS merged ORDER BY {self._by} LIMIT %s OFFSET %s)"  # noqa: S608 - compiled
        keys = RawSQL(page, (*parameters, stop - start, start))  # noqa: S611 - compiled
        return list(self.found.model._base_manager.using(MEMORY).filter(Among(F("pk"), keys)).order_by(*self.order))

    def count(self, most: int) -> int:
        """How many, or `most` if there are more."""
        if self.whole:
            return self.found[:most].count()
        if not self._groups:
            return 0
        sql, parameters = self._merged(most) if self._kinds_left <= FEW else self._each(most)
        with connections[MEMORY].cursor() as cursor:
            some = f"SELECT FROM ({sql}) AS merged LIMIT %s"
            cursor.execute(f"SELECT count(*) FROM ({some}) AS counted", (*parameters, most))  # noqa: S608 - compiled
            return int(cursor.fetchone()[0])

    def _merged(self, most: int) -> tuple[str, list[Any]]:
        """Of each kind no more than are wanted in all: else PostgreSQL may read all of one, and sort it."""
        sql = " UNION ALL ".join(f"({part} LIMIT %s)" for part, _ in self._parts)
        return sql, [one for _, parameters in self._parts for one in (*parameters, most)]

    def _of_many(self, stop: int) -> tuple[str, list[Any]]:
        """The same of so many kinds that a plan for each would take longer than all else: they share one. As many as
        are wanted, from the beginnings of all, tell how far in each there may be any.
        """
        column, falls = self.order[0].lstrip("-"), self.order[0].startswith("-")
        last, within, ever = ("min", ">=", "-infinity") if falls else ("max", "<=", "infinity")
        pool, pooled = self._each(-(-WIDE * stop // self._kinds_left))
        bound = (
            f"SELECT CASE count(*) WHEN %s THEN {last}({column}) ELSE '{ever}' END AS far"  # noqa: S608 - compiled
            f" FROM (SELECT {column} FROM ({pool}) AS pool ORDER BY {self._by} LIMIT %s) AS best"
        )
        near = f"WHERE {column} {within} (SELECT far FROM bound)"  # noqa: S608 - compiled
        sql, parameters = self._each(stop, near)
        return f"WITH bound AS MATERIALIZED ({bound}) {sql}", [stop, *pooled, stop, *parameters]

    def _each(self, most: int, condition: str = "") -> tuple[str, list[Any]]:
        """The first of each kind, by one plan for all of which the same is asked."""
        asked = [group.together(condition) for group in self._groups]
        return " UNION ALL ".join(asked), [one for group in self._groups for one in (group.kinds, *group.others, most)]

    @property
    def _by(self) -> str:
        return ", ".join(f"{name.lstrip('-')} {'DESC' if name.startswith('-') else 'ASC'}" for name in self.order)

    @property
    def _parts(self) -> list[tuple[str, list[Any]]]:
        """The questions for the keys of each kind that can be in it, in the list's order."""
        return [part for group in self._groups for part in group.parts]

    @property
    def _kinds_left(self) -> int:
        return sum(len(group.kinds) for group in self._groups)

    @cached_property
    def _groups(self) -> list[Group]:
        groups: dict[Any, Group] = {}
        for kind, condition in self._left():
            shape = _shape(condition)
            if shape not in groups:
                sql, (_, *others) = self._compiled(condition)
                groups[shape] = Group(sql, [], others, any(map(_is_by_key, _demanded(WhereNode([condition])))))
            groups[shape].kinds.append(kind.text)
        return list(groups.values())

    def _left(self) -> Iterator[tuple[Kind, Condition]]:
        if self.found.query.is_empty():
            return
        for kind in self._kinds():
            if (condition := left(self.found.query.where, kind)) is not False:
                yield kind, condition

    def _kinds(self) -> list[Kind]:
        if self._person is None:
            return kinds()
        return [kind.of_person(self._person) for kind in kinds() if kind.assigned]

    @cached_property
    def _person(self) -> str | None:
        """Whom all must be assigned to, if it is asked for one person's."""
        asked = (one.rhs for one in _demanded(self.found.query.where) if _name(one) == ("assignee", "exact"))
        return next(asked, None)

    def _compiled(self, condition: Condition) -> tuple[str, tuple[Any, ...]]:
        """The question for a kind, which is its first parameter."""
        column = "kind" if self._person is None else "assigned_kind"
        keys = Anomaly.objects.using(MEMORY).filter(**{column: ""}).order_by(*self.order)
        if self.order[0].endswith("resolved_at"):
            keys = keys.exclude(OPEN)
        keys = keys.values_list(*(name.lstrip("-") for name in self.order))
        if condition is not True:
            keys.query.where.add(condition, AND)
        sql, parameters = keys.query.sql_with_params()
        return sql, parameters


# --- What a kind leaves of a condition ---------------------------------------------------------------------
def left(condition: Condition, kind: Kind) -> Condition:
    """What is left of it to ask of the rows of a kind: True or False where the kind tells all of it."""
    if not isinstance(condition, WhereNode):
        told = _told(condition, kind)
        return condition if told is None else told
    decides = condition.connector == OR
    some = []
    for child in condition.children:
        found = left(child, kind)
        if found is decides:
            return decides is not condition.negated
        if found is not (not decides):
            some.append(found)
    if len(some) == 1 and not condition.negated:
        return some[0]
    return WhereNode(some, condition.connector, condition.negated) if some else decides is condition.negated


def _told(lookup: Condition, kind: Kind) -> bool | None:
    """Whether it holds for all of a kind or none; None if that is for each row to tell."""
    value = getattr(lookup, "rhs", None)
    if hasattr(value, "resolve_expression"):
        return None
    known = {name: getattr(kind, name) for name in ("check_name", "database", "severity", "state")}
    match _name(lookup):
        case "assignee", "isnull":
            return kind.assigned != value
        case "assignee", "exact" if kind.assignee is not None or not kind.assigned:
            return kind.assignee == value
        case name, "exact" if name in known:
            return bool(known[name] == value)
        case name, "in" if name in known or not value:
            return name in known and known[name] in (value or ())
        case name, "isnull" if name in known:
            return (known[name] is None) == value
        case "resolved_at", "isnull":
            return (kind.state != State.RESOLVED) == value
        case "acknowledged_until", "isnull" if kind.state != State.RESOLVED:
            return kind.agreed != value
        case "returned_count", "exact" if value == 0:
            return not kind.back
        case "returned_count", "gt" if value == 0:
            return kind.back
    return None


def _name(lookup: Condition) -> tuple[str, str]:
    """Of what it asks, and how."""
    column = getattr(getattr(lookup, "lhs", None), "target", None)
    return getattr(column, "attname", ""), getattr(lookup, "lookup_name", "")


def _shape(condition: Condition) -> Any:
    """The same for what is the same part of one condition."""
    if not isinstance(condition, WhereNode):
        return id(condition)
    return (condition.connector, condition.negated, *map(_shape, condition.children))


def _demanded(where: WhereNode) -> Iterator[Condition]:
    """The conditions of which each row must fulfil all."""
    for child in where.children if where.connector == AND and not where.negated else ():
        if isinstance(child, WhereNode):
            yield from _demanded(child)
        else:
            yield child


def _is_by_key(lookup: Condition) -> bool:
    asked = getattr(lookup, "lhs", None)
    return isinstance(asked, Among) or getattr(getattr(asked, "target", None), "primary_key", False)
