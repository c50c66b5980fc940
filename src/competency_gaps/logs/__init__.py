"""Results of other evaluation tools: their logs read into items with scores."""

from __future__ import annotations

from competency_gaps.logs.detect import FORMATS, find_parts
from competency_gaps.logs.part import LogEntry, LogPart
from competency_gaps.logs.read import read_log

__all__ = ["FORMATS", "LogEntry", "LogPart", "find_parts", "read_log"]
