"""Arena-Hard: its judgements."""
