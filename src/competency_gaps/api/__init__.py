"""What people type: runs made, opened and asked, evidence on plain arrays, and plug-ins."""
