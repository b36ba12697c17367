"""Time for a whole scan, shared so that a slow check cannot eat the others' part."""

from math import ceil
from time import monotonic


class Budget:
    """A number of seconds that begins now."""

    def __init__(self, seconds: float) -> None:
        self.seconds = seconds
        self._start = monotonic()

    def spent(self) -> float:
        """Return the seconds since the start."""
        return monotonic() - self._start

    def spent_ms(self) -> int:
        """Return the milliseconds since the start, rounded up."""
        return ceil(self.spent() * 1000)

    def remaining(self) -> float:
        """Return the remaining seconds, at least 0."""
        return max(0.0, self.seconds - self.spent())

    def share(self, parts: int) -> "Budget":
        """Return the share of the next of `parts`: half of the remaining time; all of it for the last part."""
        return Budget(self.remaining() * max(1 / 2, 1 / parts))
