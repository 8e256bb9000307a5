"""A bound in front of what is read from disk: when too many reads wait, the next one is refused at once."""

from exness.runtime.inbox import Busy, NotTaken


class Reads:
    """To be entered around each read. At most `bound` wait; beyond, NotTaken(OVERLOADED) is raised."""

    def __init__(self, bound: int) -> None:
        self.bound = bound
        self.waiting = 0

    def __enter__(self) -> None:
        if self.waiting >= self.bound:
            raise NotTaken(Busy.OVERLOADED)
        self.waiting += 1

    def __exit__(self, *_: object) -> None:
        self.waiting -= 1
