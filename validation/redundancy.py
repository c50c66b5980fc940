"""How often is a part said to add something where none does, and how often is one that does noticed?

    python validation/redundancy.py [--draws 200]

Draws right and wrong answers of 12 models on 8 parts of 150 items. Models differ in strength (standard deviation of 1
logit) and, on the first part alone, in a second ability of the given standard deviation.
"""

from __future__ import annotations

import argparse

import numpy as np
from scipy.special import expit

from competency_gaps.findings.redundancy import added


def planted(apart: float, draws: int, models: int = 12) -> np.ndarray:
    """Which parts add something: bool of shape (draws, 8)."""
    rng, part, adds = np.random.default_rng(0), np.repeat(np.arange(8), 150), []
    for _ in range(draws):
        strength, other = rng.normal(0, 1, (2, models, 1))
        slope = rng.lognormal(0, 0.3, len(part))
        chance = expit(slope * (strength + apart * other * (part == 0) + rng.normal(0, 1, len(part))))
        result = added((rng.random(chance.shape) < chance).astype(float), part, np.arange(len(part)))
        assert result is not None
        adds.append(result.missed > result.noise)
    return np.array(adds)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--draws", type=int, default=200)
    draws = parser.parse_args().draws
    for apart in (0.0, 0.2, 0.4, 0.8):
        adds = planted(apart, draws)
        print(
            f"{apart:.1f}: the first part in {adds[:, 0].mean():.2f}, another in {adds[:, 1:].any(axis=1).mean():.2f}"
        )


if __name__ == "__main__":
    main()
