"""Other evaluation tools, a room each: their logs, their tasks, their files."""
