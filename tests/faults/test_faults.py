"""The short profile of the fault matrix. `python -m tests.faults` runs the whole."""

from collections.abc import Iterator

import pytest

from tests.faults.attacks import ATTACKS, Attack, run_attack
from tests.faults.engine import Engine
from tests.faults.platform import Platform
from tests.faults.rows import ROWS, Row

# With clients and commands. The other rows compare the answers only, which takes seconds less.
LOADED = ("postgres: black hole", "postgres: API keys locked")


@pytest.fixture(scope="module")
def engine() -> Iterator[Engine]:
    with Platform.running() as platform:
        yield Engine(platform)


@pytest.mark.parametrize("row", [row for row in ROWS if row.short], ids=lambda row: row.name)
def test_the_service_is_in_time_and_true_while_a_fault_lasts(engine: Engine, row: Row) -> None:
    engine.load = row.name in LOADED
    result = engine.run(row)
    assert result.passed, result.line()


@pytest.mark.parametrize("attack", [attack for attack in ATTACKS if attack.short], ids=lambda attack: attack.name)
def test_the_platform_stays_well_under_an_attack(engine: Engine, attack: Attack) -> None:
    result = run_attack(engine, attack)
    assert result.passed, result.line()


def test_each_row_has_a_name_of_its_own() -> None:
    names = [row.name for row in ROWS]
    assert len(set(names)) == len(names)
