"""Whether a request is signed by who has the key's secret, and now."""

import hmac
from hashlib import sha256
from urllib.parse import unquote_plus

from exness.web.fapi.errors import Code, FapiError
from exness.web.fapi.params import Params

DEFAULT_WINDOW_MS = 5000
MOST_WINDOW_MS = 60_000
AHEAD_MS = 1000
"""How far a client's clock may be ahead."""
_SIGNATURE = "signature="
_LENGTH = 2 * sha256().digest_size


def check_time(params: Params, now_ms: int) -> None:
    """Raises FapiError: INVALID_TIMESTAMP for a request that is too old, or from the future."""
    timestamp = params.need_integer("timestamp")
    window = params.integer("recvWindow")
    if window is not None and window > MOST_WINDOW_MS:
        raise FapiError(Code.BAD_RECV_WINDOW)
    if not now_ms - (DEFAULT_WINDOW_MS if window is None else window) <= timestamp < now_ms + AHEAD_MS:
        raise FapiError(Code.INVALID_TIMESTAMP)


def check_signature(secret: bytes, query: str, body: str, params: Params) -> None:
    """HMAC-SHA256 of the query, right after it the body, each without the signature itself, as both were sent.

    Some clients sign their values before these are percent-encoded: the decoded text is good as well. Raises FapiError.
    """
    given = params.need("signature").lower()
    if len(given) != _LENGTH or not given.isascii():
        raise FapiError(Code.INVALID_SIGNATURE)
    signed = _unsigned(query) + _unsigned(body)
    if hmac.compare_digest(_sign(secret, signed), given):
        return
    decoded = unquote_plus(signed)
    if decoded == signed or not hmac.compare_digest(_sign(secret, decoded), given):
        raise FapiError(Code.INVALID_SIGNATURE)


def _sign(secret: bytes, text: str) -> str:
    return hmac.digest(secret, text.encode(errors="surrogateescape"), "sha256").hex()


def _unsigned(part: str) -> str:
    if _SIGNATURE not in part:
        return part
    return "&".join([pair for pair in part.split("&") if not pair.startswith(_SIGNATURE)])
