"""Concepts of an SAE: exemplars, kinds and labels, and the atlas of topics."""
