"""Time for a whole scan, shared so that a slow check cannot eat the others' part."""

from math import ceil
from time import monotonic


class Budget:
    """So many seconds from now on."""

    def __init__(self, seconds: float) -> None:
        self.seconds = seconds
        self._start = monotonic()

    def spent(self) -> float:
        """Seconds since the start."""
        return monotonic() - self._start

    def spent_ms(self) -> int:
        """Milliseconds since the start, rounded up."""
        return ceil(self.spent() * 1000)

    def left(self) -> float:
        """Seconds that are left, at least 0."""
        return max(0.0, self.seconds - self.spent())

    def share(self, parts: int) -> "Budget":
        """What the next of `parts` may take: half of what is left, or all of it if it is the last."""
        return Budget(self.left() * max(1 / 2, 1 / parts))
