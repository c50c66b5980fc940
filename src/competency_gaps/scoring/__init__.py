"""Scoring policies that need nothing but the model's output."""
