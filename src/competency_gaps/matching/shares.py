"""A share with its denominator and uncertainty."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class Share:
    """A count out of a total, with its uncertainty."""

    count: int
    of: int
    low: float | None
    """Lower end of Wilson's 95% interval, entries taken as independent; None if the total is 0."""
    high: float | None

    @property
    def value(self) -> float | None:
        """The share; None if the total is 0."""
        return self.count / self.of if self.of else None

    def as_dict(self) -> dict[str, float | None]:
        """The share for a JSON document."""
        return {"count": self.count, "of": self.of, "share": self.value, "low": self.low, "high": self.high}


def share(count: int, of: int) -> Share:
    """A share with Wilson's interval at 95%."""
    from scipy.stats import binomtest

    if of == 0:
        return Share(0, 0, None, None)
    interval = binomtest(count, of).proportion_ci(method="wilson")
    return Share(count, of, float(interval.low), float(interval.high))
