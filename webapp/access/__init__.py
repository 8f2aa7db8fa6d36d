"""Who may do what: people, roles, tokens, the audit log."""
