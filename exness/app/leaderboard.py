"""The leaderboard, where one is configured."""

from exness.access.pseudonyms import Pseudonyms
from exness.config import Config
from exness.runtime.exchange import Exchange
from exness.runtime.leaderboard import Leaderboard
from exness.web.v1.leaderboard import ShownLeaderboard


def make_leaderboard(config: Config, exchange: Exchange, auth_secret: bytes) -> ShownLeaderboard | None:
    """None: it is off."""
    if not config.leaderboard.enabled:
        return None
    return ShownLeaderboard(exchange, Leaderboard(exchange, config.leaderboard.size), Pseudonyms(auth_secret))
