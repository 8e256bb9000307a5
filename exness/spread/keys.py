"""What the streams and keys of an exchange are called. Braces hold the part that a Redis Cluster places keys by."""

from typing import NamedTuple

OF_SERVERS = "bus:"
"""What the ids of commands that come over the wire begin with. A migration of the database knows it, too."""


class Keys(NamedTuple):
    """Of an exchange's one shard. `name` is `deploy.name`."""

    name: str
    shard: int = 0

    @property
    def prices(self) -> str:
        """Ticks of all assets, and the poller's signs of life."""
        return f"{self.name}:prices"

    @property
    def events(self) -> str:
        """Records, once they are on disk. It tells, it does not carry: holes are filled from the journal."""
        return f"{self.name}:{{{self.shard}}}:events"

    @property
    def engine(self) -> str:
        """The name of the epoch there is."""
        return f"{self.name}:{{{self.shard}}}:engine"

    def commands(self, epoch: str) -> str:
        """What is for the engine of one epoch."""
        return f"{self.name}:{{{self.shard}}}:{epoch}:commands"

    @property
    def all_commands(self) -> str:
        """A pattern of those of every epoch."""
        return f"{self.name}:{{{self.shard}}}:*:commands"

    def is_before(self, commands: str, epoch: str) -> bool:
        """Whether that stream is of an earlier epoch. One that was overtaken must not take its successor's away."""
        name = commands.removeprefix(f"{self.name}:{{{self.shard}}}:").removesuffix(":commands")
        return epoch_number(name) < epoch_number(epoch)

    def replies(self, server: str) -> str:
        """What is for one server process."""
        return f"{self.name}:replies:{server}"

    def price(self, asset: str) -> str:
        """The newest price of an asset, for whoever looks from outside."""
        return f"price-{asset}" if self.name == "exness" else f"{self.name}:price-{asset}"


def epoch_name(epoch: int, holder: str) -> str:
    """Of an epoch. The holder's random id is in it, as after the loss of a database epochs can come again."""
    return f"{epoch}-{holder}"


def epoch_number(name: str) -> int:
    """0 for what is none."""
    number = name.partition("-")[0]
    return int(number) if number.isdigit() else 0
