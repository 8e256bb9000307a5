"""Every field of /trade/create, and what it can't be."""

from tests.transcript.steps import Ask, Scene, create, order, post, without

BAD: dict[str, list[object]] = {
    "asset": ["DOGE", "sol", "", 7, None, ["SOL"]],
    "type": ["LONG", "buy", "", 1, None],
    "margin": [
        0,
        -1,
        "0",
        "-0.000001",
        "1.0000001",
        1.0000001,
        "",
        "abc",
        "1,5",
        True,
        None,
        [],
        "1e400",
        "NaN",
        "9" * 40,
        "١",
    ],
    "leverage": [0, "0.99", "100.01", 101, -1, "1.001", "x", True, None, {}, "1e99", "Infinity"],
    "slippage": [9, 10_001, 0, -1, "10.5", "x", True, {}, "1e99"],
    "expectedPrice": [0, -1, "1.0000001", "x", True, {}, "1e400"],
    "clientOrderId": ["", "x" * 65, "ä", "a\nb", 7, {}],
}


def bad(field: str, value: object) -> Ask:
    return post(f"{field} is {value!r}"[:60], "/trade/create", order(**{field: value}), by="ann")


RAW = {
    "a margin that is NaN": '{"asset":"SOL","type":"long","margin":NaN,"leverage":1}',
    "a margin with too many digits": '{"asset":"SOL","type":"long","margin":1.00000000000000000001,"leverage":1}',
    "a number with a leading zero": '{"asset":"SOL","type":"long","margin":01,"leverage":1}',
    "a margin of -0": '{"asset":"SOL","type":"long","margin":-0,"leverage":1}',
}

SCENES = [
    Scene(
        name="inputs",
        steps=[
            *(post(f"no {name}", "/trade/create", without(name), by="ann") for name in order()),
            post("nothing at all", "/trade/create", {}, by="ann"),
            *(bad(name, value) for name, values in BAD.items() for value in values),
            *(post(title, "/trade/create", body, by="ann") for title, body in RAW.items()),
            create("a field that there is not", colour="red"),
            create(
                "all of them bad",
                asset="X",
                type="x",
                margin=0,
                leverage=0,
                slippage=0,
                expectedPrice=0,
                clientOrderId="",
                y=1,
            ),
            create("null is left out", slippage=None, expectedPrice=None, clientOrderId=None, keep="nulls"),
            create("a wrong type goes before what is not allowed", margin=0, type=7),
        ],
    )
]
