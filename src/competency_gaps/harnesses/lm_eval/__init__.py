"""lm-evaluation-harness: its logs, its tasks, and runs written in its form."""
