"""A run to look at in a browser: the data that a page needs, a server for it, and the same as files."""
