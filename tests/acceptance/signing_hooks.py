"""For schemathesis: every request to the Binance face is signed, as it is sent. SCHEMATHESIS_HOOKS names this file."""

import hmac
import os
import time
from hashlib import sha256

from requests import PreparedRequest
from requests.auth import AuthBase
from schemathesis.auths import GLOBAL_AUTH_STORAGE

OURS = {"timestamp", "recvWindow", "signature"}


class Signed(AuthBase):
    def __call__(self, request: PreparedRequest) -> PreparedRequest:
        assert request.url is not None
        address, _, query = request.url.partition("?")
        pairs = [pair for pair in query.split("&") if pair and pair.partition("=")[0] not in OURS]
        text = "&".join([*pairs, f"timestamp={time.time_ns() // 1_000_000}", "recvWindow=60000"])
        signature = hmac.new(os.environ["SECRET"].encode(), text.encode(), sha256).hexdigest()
        request.url = f"{address}?{text}&signature={signature}"
        request.headers["X-MBX-APIKEY"] = os.environ["KEY"]
        return request


GLOBAL_AUTH_STORAGE.set_from_requests(Signed())
