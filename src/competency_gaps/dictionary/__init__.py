"""Concepts: their labels, and flags of those that are no competency."""
