"""Asking for trouble on purpose: attacks by garak, and fresh items on a concept, to see whether a weakness holds."""
