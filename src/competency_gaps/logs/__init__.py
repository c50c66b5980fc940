"""Logs of other evaluation tools: a reader for each, and what they share."""
