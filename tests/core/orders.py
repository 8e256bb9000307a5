"""What the tests of decisions share."""

from exness.core.commands import OpenTrade
from exness.core.instruments import Execution
from tests.support.books import make_rules, open_trade

TOUCH = make_rules(execution=Execution.TOUCH)


def named(order: str, *, client_order: str = "mine", margin: str = "10") -> OpenTrade:
    """An order with a client order id."""
    return open_trade(order, margin=margin, client_order=client_order)
