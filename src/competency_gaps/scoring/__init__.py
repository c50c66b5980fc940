"""Scores of responses: by rule, by a language model that judges, or by comparison with a baseline."""
