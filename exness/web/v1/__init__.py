"""Our own dialect."""

PREFIX = "/api/v1"
