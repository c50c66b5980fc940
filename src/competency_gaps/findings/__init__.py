"""Findings: slices that explain a model's outcomes, chosen, estimated and put in words."""
