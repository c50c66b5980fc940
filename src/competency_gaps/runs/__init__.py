"""The run folder: its plan, manifest and tables, and how they are read. No model and no torch are needed."""
