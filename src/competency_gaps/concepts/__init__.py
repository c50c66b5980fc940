"""Concepts: their kinds and labels, and the atlas of what texts are about."""
