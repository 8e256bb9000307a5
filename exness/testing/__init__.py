"""An exchange for tests: `Exchange`, a process of its own with price and clock in the test's hand.

    with Exchange() as exchange:
        ann = exchange.trader("ann")
        exchange.set_price("SOL", 200)

In pytest the fixtures `exchange` and `own_exchange` give one, see docs/PLUGIN.md.
"""

from exness.testing.exchange import BooksDoNotBalance, Exchange
from exness.testing.server import DidNotStart

__all__ = ["BooksDoNotBalance", "DidNotStart", "Exchange"]
