"""The run folder: its plan, manifest and tables, and how they are read."""
