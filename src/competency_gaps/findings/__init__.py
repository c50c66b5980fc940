"""Findings: slices that explain a model's outcomes, chosen, estimated on items that did not choose them, in words."""
