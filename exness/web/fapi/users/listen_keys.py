"""Listen keys: the names of user data streams. A listen key is made from its API key and so outlives a restart; only
how long it is good is kept, in memory, and a server that does not know takes it as begun with its own start."""

from exness.access.api_keys import ApiKey, ApiKeys
from exness.runtime.clock import WallClock

LIFE_US = 3_600_000_000


class ListenKeys:
    """Those of one server: no more than there are API keys."""

    def __init__(self, keys: ApiKeys, wall: WallClock) -> None:
        self._keys = keys
        self._wall = wall
        self._began_us = wall.wall_us()
        self._ends_us: dict[str, int] = {}

    def start(self, key: ApiKey) -> str:
        """The listen key of an API key, good for an hour from now, also if it had ended."""
        listen_key = self._keys.listen_key(key.key)
        self._forget_others()
        self._ends_us[listen_key] = self._wall.wall_us() + LIFE_US
        return listen_key

    def extend(self, key: ApiKey) -> str | None:
        """The same of one that is good; None when it has ended."""
        return self.start(key) if self.is_good(self._keys.listen_key(key.key)) else None

    def end(self, key: ApiKey) -> str:
        """It is good no more."""
        listen_key = self._keys.listen_key(key.key)
        self._ends_us[listen_key] = 0
        return listen_key

    def is_good(self, listen_key: str) -> bool:
        ends_us = self._ends_us.get(listen_key, self._began_us + LIFE_US)
        return self._wall.wall_us() < ends_us and self.owner(listen_key) is not None

    def owner(self, listen_key: str) -> ApiKey | None:
        """Whose it is, while that API key is good."""
        return self._keys.listening(listen_key)

    def _forget_others(self) -> None:
        """Those whose API keys have gone."""
        if len(self._ends_us) > 2 * self._keys.count + 100:
            self._ends_us = {name: ends for name, ends in self._ends_us.items() if self.owner(name) is not None}
