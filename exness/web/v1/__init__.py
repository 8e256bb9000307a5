"""Our own dialect: /api/v1."""
