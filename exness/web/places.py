"""Places that many share, so that nobody can take them all."""

from collections import Counter

FREE_TIMES = 2
"""How many times as many places as are free one may hold."""


class Places:
    """So many places, and nobody gets another who holds twice as many as are free, nor more than `most_each`.

    Who takes all there is to get has two thirds of them; two who do have two fifths each, and a fifth is free; and so
    on. The fewer places are left, the fewer one may hold to get another, so newcomers go before those who have many.
    (Switches share their memory between queues by this rule; there it is called a dynamic threshold.)
    """

    def __init__(self, places: int, most_each: int | None = None) -> None:
        self._places = places
        self._most_each = most_each if most_each is not None else places
        self._held: Counter[str] = Counter()
        self.taken = 0

    @property
    def full(self) -> bool:
        return self.taken >= self._places

    def allows(self, who: str) -> bool:
        """Whether there is another one for `who`."""
        return self._held.get(who, 0) < min(FREE_TIMES * (self._places - self.taken), self._most_each)

    def take(self, who: str) -> None:
        self.taken += 1
        self._held[who] += 1

    def give_back(self, who: str) -> None:
        self.taken -= 1
        self._held[who] -= 1
        if not self._held[who]:
            del self._held[who]
