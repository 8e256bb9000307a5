"""The weight of every endpoint."""

from exness.web.http.weights import OTHER, Budget, Weight

API = "/api/v1"
TRADE, PROBE = Budget.TRADE, Budget.PROBE

WEIGHTS: dict[tuple[str, str], Weight] = {
    ("POST", f"{API}/signup"): Weight(30),
    ("POST", f"{API}/signin"): Weight(30),
    ("GET", f"{API}/signin/post"): Weight(15),
    ("POST", f"{API}/logout"): Weight(15),
    ("POST", f"{API}/trade/create"): Weight(3, budget=TRADE),
    ("POST", f"{API}/trade/close"): Weight(3, budget=TRADE),
    ("GET", f"{API}/trade/open"): Weight(1, 16, "trades told"),
    ("GET", f"{API}/trade/history"): Weight(3, 5, "of `limit`"),
    ("GET", f"{API}/balance"): Weight(1),
    ("GET", f"{API}/balance/usd"): Weight(1),
    ("GET", f"{API}/account"): Weight(1, 64, "open trades"),
    ("GET", f"{API}/supportedAssets"): Weight(1),
    ("GET", f"{API}/prices"): Weight(1),
    ("GET", f"{API}/prices/{{asset}}"): Weight(1),
    ("GET", f"{API}/klines"): Weight(3, 8, "of `limit`"),
    ("GET", f"{API}/stream"): Weight(8),
    ("GET", "/healthz"): Weight(1, budget=PROBE),
    ("GET", "/readyz"): Weight(1, budget=PROBE),
    ("GET", "/metrics"): Weight(80, budget=PROBE),
    ("GET", "/openapi.json"): Weight(2),
    ("GET", "/asyncapi.json"): Weight(2),
    ("GET", "/docs"): Weight(2),
    ("GET", "/"): Weight(2),
    ("PUT", f"{API}/dev/prices/{{asset}}"): Weight(3, budget=TRADE),
    ("POST", f"{API}/dev/prices/script"): Weight(3, budget=TRADE),
    ("GET", f"{API}/dev/clock"): Weight(1, budget=TRADE),
    ("POST", f"{API}/dev/clock"): Weight(3, budget=TRADE),
    ("POST", f"{API}/dev/deposit"): Weight(4, budget=TRADE),
    ("POST", f"{API}/dev/reset"): Weight(3, budget=TRADE),
}
"""By method and path, as routes.py has them. HEAD weighs what GET does."""


def weight_of(method: str, path: str) -> Weight:
    """Of any request, also of one that there is no route for."""
    method = "GET" if method == "HEAD" else method
    found = WEIGHTS.get((method, path))
    return found or WEIGHTS.get((method, f"{path.rpartition('/')[0]}/{{asset}}"), OTHER)
