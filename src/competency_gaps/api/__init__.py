"""The public functions: make, open and query runs, work on dictionaries, and register plug-ins."""
