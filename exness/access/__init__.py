"""Who may come in: sessions, magic links, revocations."""
