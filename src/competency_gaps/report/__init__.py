"""A run for readers: an HTML page, charts, and tables in a terminal."""

from competency_gaps.report.html import write_report
from competency_gaps.report.summary import concept_panel, print_summary
from competency_gaps.report.tables import concept_table

__all__ = ["concept_panel", "concept_table", "print_summary", "write_report"]
