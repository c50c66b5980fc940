"""The run folder: what is written while a run goes on, and how it is read afterwards."""

from competency_gaps.runs.open import Run, open_run

__all__ = ["Run", "open_run"]
