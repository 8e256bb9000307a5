"""The terminal's endpoints: the page at the root and its files."""

from exness.web.http.endpoint import GET, Endpoint
from exness.web.http.weights import Weight
from exness.web.terminal.pages import POLICY, page, page_file

ENDPOINTS = (
    Endpoint(
        GET, "/", page, Weight(2), "The terminal, where a sign-in leads by default", str,
        media_type="text/html", policy=POLICY,
    ),
    Endpoint(
        GET, "/terminal/{release}/{file}", page_file, Weight(2), "Scripts and styles of the terminal", str,
        media_type="text/javascript", errors=("not_found",),
    ),
)  # fmt: skip
"""Below no prefix."""
