"""From a finished run to a better benchmark: fewer items, repaired items, missing items, and weights."""
