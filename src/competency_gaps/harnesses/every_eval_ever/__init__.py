"""every_eval_ever, a schema of instance-level results across harnesses: logs, and runs written in its form."""
