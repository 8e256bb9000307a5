"""`exness accounts` and `exness statement`: what they print agrees with what the exchange tells its users, beside a
running one, after it was killed, and after it has stopped."""

import csv
import io
from decimal import Decimal
from pathlib import Path

from tests.support.process import UNLIMITED, Server, finished

ORDER = {"asset": "SOL", "type": "long", "margin": "10", "leverage": 5}


async def printed(server: Server, *arguments: str) -> list[dict[str, str]]:
    done = await finished(*arguments, "--csv", "--data-dir", str(server.data_dir), cwd=server.data_dir.parent)
    assert (done.code, done.errors) == (0, "")
    return list(csv.DictReader(io.StringIO(done.output)))


async def told(server: Server, token: str) -> tuple[dict[str, str], list[dict[str, str]]]:
    account = (await server.get("/account", token)).body
    history = (await server.get("/trade/history", token)).body["analytics"]
    rows = (await server.get("/account/statement?limit=500", token)).body["data"]
    return (
        {
            "email": account["email"],
            "free": account["balance"],
            "locked": account["lockedMargin"],
            "trades": str(history["totalTrades"]),
            "open": str(history["openTrades"]),
            "realizedPnl": history["totalPnl"],
        },
        [{name: str(row.get(name, "")) for name in row} | {"seq": str(row["seq"])} for row in rows],
    )


async def test_what_is_printed_is_what_each_user_is_told_whether_it_runs_or_not(tmp_path: Path) -> None:
    async with Server(tmp_path / "data", env=UNLIMITED) as server:
        expected = []
        for email in ("ann@example.com", "bob@example.com"):
            token = await server.token(email)
            for number in range(3):
                created = await server.post("/trade/create", token, ORDER)
                if number:
                    assert (
                        await server.post("/trade/close", token, {"orderId": created.body["orderId"]})
                    ).status == 200
            expected.append((email, *await told(server, token)))

        async def all_agrees() -> None:
            accounts = await printed(server, "accounts")
            assert [{name: row[name] for name in expected[0][1]} for row in accounts] == [each[1] for each in expected]
            for email, account, statement in expected:
                rows = await printed(server, "statement", email)
                assert [{name: text for name, text in row.items() if text} for row in rows] == statement
                assert sum(Decimal(row["amount"]) for row in rows) == Decimal(account["free"])

        await all_agrees()
        assert await server.stop() == 0
        await all_agrees()
    for_people = await finished("accounts", "--data-dir", str(server.data_dir), cwd=tmp_path)
    assert for_people.output.split()[:3] == ["email", "opened", "free"]
    assert [line.split()[0] for line in for_people.output.splitlines()[1:]] == ["ann@example.com", "bob@example.com"]


async def test_an_exchange_or_an_account_that_there_is_not_is_named(tmp_path: Path) -> None:
    nothing = await finished("accounts", "--data-dir", "nothing", cwd=tmp_path)
    assert (nothing.code, nothing.output) == (1, "")
    assert nothing.errors == f"exness: there is no exchange in {tmp_path}/nothing, or it has never been started\n"
    assert not (tmp_path / "nothing").exists()
    async with Server(tmp_path / "data") as server:
        assert await server.stop() == 0
    nobody = await finished("statement", "no@example.com", "--data-dir", "data", cwd=tmp_path)
    assert (nobody.code, nobody.output) == (1, "")
    assert "no@example.com has no account here" in nobody.errors
    bad = await finished("statement", "no", "--data-dir", "data", cwd=tmp_path)
    assert bad.code == 2
