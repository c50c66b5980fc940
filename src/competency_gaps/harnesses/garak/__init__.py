"""garak: its reports, and its probes run on a model."""
