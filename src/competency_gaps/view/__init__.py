"""Every sentence and every picture: a run in a terminal, as a page, and as tools for chats and assistants."""
