"""A run as people see it: in a terminal, as a page, and as tools for assistants."""
