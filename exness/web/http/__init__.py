"""Plumbing of HTTP: connections, limits, requests, responses, errors."""
