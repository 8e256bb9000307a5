"""Orders, exits, parts of trades and net positions, and what the stream tells of them."""

from collections.abc import Mapping

from tests.transcript.steps import Ask, Connect, Scene, clock, close, create, get, post, price, subscribe
from tests.transcript.steps import order as body

_CHANNELS = ("trades", "orders", "account")


def _place(title: str, keep: str = "", *, by: str = "ann", hears: Mapping[str, int] = {}, **changed: object) -> Ask:
    kept = {keep: "orderId"} if keep else {}
    return post(title, "/order/create", body(**changed), by=by, keep=kept, hears=hears)


def _net(title: str, keep: str = "", *, hears: Mapping[str, int] = {}, **fields: object) -> Ask:
    kept = {keep: "orderId"} if keep else {}
    asked = {"asset": "SOL", "side": "buy"} | fields
    return post(title, "/net/order", asked, by="ann", keep=kept, hears=hears)


ORDERS = Scene(
    name="orders",
    users=("ann", "bob"),
    in_memory=True,
    steps=[
        Connect(title="Ann listens", stream="ann", by="ann"),
        subscribe("ann", *_CHANNELS, hears=4),
        _place("a limit order", "limit", limitPrice=190, stopLoss=180, clientOrderId="mine", hears={"ann": 2}),
        _place("the same again", limitPrice="190.0", stopLoss=180, clientOrderId="mine"),
        _place("another with its id", limitPrice=191, stopLoss=180, clientOrderId="mine"),
        _place("a stop order", "stop", stopPrice=210, trailingStop={"percent": 100}, hears={"ann": 2}),
        _place("a stop-limit order", "both", stopPrice=215, limitPrice=214, hears={"ann": 2}),
        _place("neither price"),
        _place("a price that is none", limitPrice=0, takeProfit=-1, trailingStop={"distance": 1, "percent": 2}),
        _place("an expiry that has passed", limitPrice=190, expiresAt="2020-01-01T00:00:00Z"),
        _place("a stop loss above the take profit", limitPrice=190, stopLoss=200, takeProfit=195),
        _place("a stop that is reached", stopPrice=200),
        _place("it would take", limitPrice=201, postOnly=True),
        _place("it would rest", limitPrice=190, timeInForce="ioc"),
        _place("it crosses", "crossed", limitPrice=201, takeProfit="220.5", hears={"ann": 2}),
        get("/order/open", by="ann"),
        get("/order/open?asset=ETH", by="ann"),
        get("/order/open?color=red", by="ann"),
        get("/order/open", "Bob has none", by="bob"),
        get("/account", by="ann"),
        post("it is amended", "/order/amend", {"orderId": "<limit>", "limitPrice": 195}, by="ann", hears={"ann": 2}),
        post("Bob can't", "/order/amend", {"orderId": "<limit>", "limitPrice": 195}, by="bob"),
        post("nothing changes", "/order/amend", {"orderId": "<limit>"}, by="ann"),
        post("Bob can't cancel it", "/order/cancel", {"orderId": "<limit>"}, by="bob"),
        price("SOL", 194, "a tick fills it", hears={"ann": 4}),
        price("SOL", 216, "stops are reached, and one is past its limit", hears={"ann": 6}),
        get("/order/open", by="ann"),
        post("cancelled", "/order/cancel", {"orderId": "<both>"}, by="ann", hears={"ann": 2}),
        post("no such order", "/order/cancel", {"orderId": "unknown"}, by="ann"),
        post("it has been cancelled", "/order/cancel", {"orderId": "<both>"}, by="ann"),
        get("/order/history", by="ann"),
        get("/order/history?limit=1&offset=1&asset=SOL", by="ann"),
        get("/order/history?limit=0", by="ann"),
        get("/order?clientOrderId=mine", "by her own id", by="ann"),
        get("/order?clientOrderId=mine", "Bob has none of that id", by="bob"),
        get("/order", "none is named", by="ann"),
        get("/trade?clientOrderId=mine", "the trade that it opened", by="ann"),
        get("/trade?orderId=x", "one that there is not", by="ann"),
        _place("one more", "more", limitPrice=190, hears={"ann": 2}),
        post("all are cancelled", "/order/cancelAll", {}, by="ann", hears={"ann": 2}),
        post("none is left", "/order/cancelAll", {"asset": "SOL"}, by="ann"),
        post("all trades are closed", "/trade/closeAll", {"asset": "ETH"}, by="ann"),
        _place("one that expires", "last", limitPrice=190, expiresAt="2100-01-01T00:00:00Z", hears={"ann": 2}),
    ],
)

EXITS = Scene(
    name="exits",
    users=("ann", "bob"),
    in_memory=True,
    steps=[
        Connect(title="Ann listens", stream="ann", by="ann"),
        subscribe("ann", *_CHANNELS, hears=4),
        create("a trade with exits", keep="long", stopLoss=190, takeProfit=220, hears={"ann": 2}),
        create("a stop loss that liquidation comes before", keep="late", leverage=50, stopLoss=150, hears={"ann": 2}),
        create("due at once", takeProfit=200),
        post(
            "a trailing stop, no take profit",
            "/trade/exits",
            {"orderId": "<long>", "takeProfit": None, "trailingStop": {"distance": "5.5", "activation": 205}},
            by="ann",
            hears={"ann": 2},
        ),
        post("nothing", "/trade/exits", {"orderId": "<long>"}, by="ann"),
        post("due at once", "/trade/exits", {"orderId": "<long>", "stopLoss": 200}, by="ann"),
        post("Bob's is not", "/trade/exits", {"orderId": "<long>", "stopLoss": 191}, by="bob"),
        post(
            "an exit over a half",
            "/trade/exit",
            {"orderId": "<long>", "kind": "take_profit", "price": 210, "percent": 5000},
            by="ann",
            keep={"half": "orderId"},
            hears={"ann": 3},
        ),
        post(
            "one of a quantity",
            "/trade/exit",
            {"orderId": "<long>", "kind": "limit", "price": 210, "quantity": 1},
            by="ann",
        ),
        post(
            "of two parts",
            "/trade/exit",
            {"orderId": "<long>", "kind": "limit", "price": 210, "percent": 5000, "margin": 1},
            by="ann",
        ),
        post("it is amended", "/order/amend", {"orderId": "<half>", "stopPrice": 208}, by="ann", hears={"ann": 3}),
        get("/order/open", by="ann"),
        get("/trade/open", by="ann"),
        post(
            "margin is added",
            "/trade/margin",
            {"orderId": "<long>", "amount": "12.5", "clientOrderId": "add"},
            by="ann",
            hears={"ann": 2},
        ),
        post("once", "/trade/margin", {"orderId": "<long>", "amount": "12.50", "clientOrderId": "add"}, by="ann"),
        post("too much is taken", "/trade/margin", {"orderId": "<long>", "amount": -13}, by="ann"),
        post("more than there is", "/trade/margin", {"orderId": "<long>", "amount": 100000}, by="ann"),
        post("less leverage", "/trade/leverage", {"orderId": "<long>", "leverage": 5}, by="ann", hears={"ann": 2}),
        post("too much leverage", "/trade/leverage", {"orderId": "<long>", "leverage": 1000}, by="ann"),
        post(
            "a part is closed",
            "/trade/close",
            {"orderId": "<long>", "percent": 2500, "clientOrderId": "part"},
            by="ann",
            hears={"ann": 2},
        ),
        post("once", "/trade/close", {"orderId": "<long>", "percent": 2500, "clientOrderId": "part"}, by="ann"),
        post("too small a part", "/trade/close", {"orderId": "<late>", "margin": "0.000000"}, by="ann"),
        create("a tiny trade", keep="tiny", margin="0.000001", hears={"ann": 2}),
        post("a part without margin", "/trade/close", {"orderId": "<tiny>", "percent": 5000}, by="ann"),
        price("SOL", 209, "the take profit of a half", hears={"ann": 3}),
        price("SOL", 203, "what trails is reached", hears={"ann": 2}),
        close("long", "it has ended"),
        post("it has ended", "/trade/margin", {"orderId": "<long>", "amount": 1}, by="ann"),
        post(
            "an exit",
            "/trade/exit",
            {"orderId": "<late>", "kind": "limit", "price": 230, "margin": 20},
            by="ann",
            keep={"exit": "orderId"},
            hears={"ann": 3},
        ),
        post("is cancelled", "/order/cancel", {"orderId": "<exit>"}, by="ann", hears={"ann": 3}),
    ],
)

NET = Scene(
    name="net-positions",
    users=("ann",),
    in_memory=True,
    steps=[
        Connect(title="Ann listens", stream="ann", by="ann"),
        subscribe("ann", *_CHANNELS, hears=4),
        get("/net", "no position", by="ann"),
        post("leverage", "/net/leverage", {"asset": "SOL", "leverage": 10}, by="ann", hears={"ann": 1}),
        _net("nothing to reduce", quantity=1, side="sell", reduceOnly=True),
        _net("neither quantity nor closePosition"),
        _net("bought", "bought", quantity="1.5", hears={"ann": 2}),
        price("SOL", 210),
        _net("more of it", "more", quantity=1, clientOrderId="more", hears={"ann": 2}),
        _net("once", quantity="1.000", clientOrderId="more"),
        _net("a part is sold", "part", side="sell", quantity=1, hears={"ann": 2}),
        _net("an order that waits", "waiting", quantity=2, limitPrice=190, hears={"ann": 2}),
        _net(
            "an exit of all", "exit", side="sell", closePosition=True, stopPrice=195, kind="stop_loss", hears={"ann": 3}
        ),
        _net("kind without an exit", quantity=1, stopPrice=220, kind="stop_loss"),
        post("amended", "/order/amend", {"orderId": "<waiting>", "quantity": 1}, by="ann", hears={"ann": 2}),
        get("/net", by="ann"),
        get("/net?asset=ETH", by="ann"),
        get("/order/open", by="ann"),
        post("another leverage", "/net/leverage", {"asset": "SOL", "leverage": 5}, by="ann", hears={"ann": 3}),
        _net("past zero", "flip", side="sell", quantity=3, hears={"ann": 4}),
        _net("flat", "flat", side="buy", closePosition=True, hears={"ann": 2}),
        clock("the price gets old", step=31),
        _net("no price", quantity=1),
    ],
)

MONEY = Scene(
    name="quotes-rates-statement",
    users=("ann",),
    in_memory=True,
    steps=[
        get("/rates", "everything is free"),
        Ask(title="commission", method="PUT", path="/dev/rates/SOL", body={"taker": "0.001", "maintenance": "0.01"}),
        Ask(title="no rate", method="PUT", path="/dev/rates/SOL", body={"taker": 1}),
        Ask(title="no asset", method="PUT", path="/dev/rates/DOGE", body={"taker": 0}),
        Ask(title="no change", method="PUT", path="/dev/rates/SOL", body={}),
        post("a trade", "/trade/quote", body(), by="ann"),
        post("an order", "/trade/quote", body(limitPrice=190, stopLoss=180), by="ann"),
        post("more than there is", "/trade/quote", body(margin=5000), by="ann"),
        post("a body that is none", "/trade/quote", body(margin=0), by="ann"),
        post("a net order", "/net/quote", {"asset": "SOL", "side": "sell", "quantity": 2}, by="ann"),
        post("nothing to close", "/net/quote", {"asset": "SOL", "side": "sell", "closePosition": True}, by="ann"),
        create("a trade", keep="long"),
        _place("an order", "waiting", limitPrice=190),
        close("long"),
        get("/dev/house", "the house has the commissions"),
        get("/account/statement", by="ann"),
        get("/account/statement?reason=commission&limit=1", by="ann"),
        get("/account/statement?before=3", by="ann"),
        get("/account/statement?reason=none", by="ann"),
        clock("minutes pass", step=150),
        get("/account/equity?interval=1m", by="ann"),
        get("/account/equity", by="ann"),
        Ask(title="a profile", method="PUT", path="/dev/profile", body={"profile": "binance"}),
        Ask(title="no profile", method="PUT", path="/dev/profile", body={"profile": "moon"}),
        get("/rates", "of a venue, by hand"),
    ],
)

SCENES = [ORDERS, EXITS, NET, MONEY]
