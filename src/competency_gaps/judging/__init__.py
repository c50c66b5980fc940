"""Judges of answers: policies, prompts, the baseline of a comparison, and figures of their verdicts."""
