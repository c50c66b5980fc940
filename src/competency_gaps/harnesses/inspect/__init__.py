"""Inspect: its logs and its tasks."""
