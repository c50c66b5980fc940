"""Judges of answers: their prompts, the baseline that answers are compared with, and what verdicts come to."""
