"""The documents' endpoints: what describes the others."""

from typing import Any

from exness.web.docs.pages import POLICY, asyncapi_json, docs, docs_file, openapi_json
from exness.web.http.endpoint import GET, Endpoint
from exness.web.http.weights import Weight

ENDPOINTS = (
    Endpoint(GET, "/openapi.json", openapi_json, Weight(2), "This document", dict[str, Any]),
    Endpoint(GET, "/asyncapi.json", asyncapi_json, Weight(2), "The stream's document", dict[str, Any]),
    Endpoint(
        GET, "/docs", docs, Weight(2), "This document as a page, to try it out", str,
        media_type="text/html", policy=POLICY,
    ),
    Endpoint(
        GET, "/docs/{file}", docs_file, Weight(40), "Scripts and styles of that page", str,
        media_type="text/javascript", errors=("not_found",),
    ),
)  # fmt: skip
"""Below no prefix."""
