"""The exchange as several processes: what two servers show is one exchange, and whatever dies, nothing that was
acknowledged is lost, doubled or wrong."""

import asyncio
import json
import re
import signal
from collections.abc import Callable
from pathlib import Path

import aiohttp
import pytest

from tests.spread.deployment import Deployment, deployed
from tests.spread.load import Load
from tests.spread.servers import CUT_THE_ENGINE, SECRET, SLOW
from tests.spread.test_server import ORDER, commanded, verified
from tests.support.postgres import Postgres, a_cluster
from tests.support.postgres import skip_or_fail as postgres_or_skip
from tests.support.process import DidNotStart, Server
from tests.support.redis import RedisServer, a_redis
from tests.support.redis import skip_or_fail as redis_or_skip
from tests.support.waiting import until

pytestmark = [pytest.mark.slow, pytest.mark.timeout(180)]

ALL = ("engine", "processor", "poller", "server1", "server2")


async def test_two_servers_are_one_exchange(
    tmp_path: Path, postgres: Postgres, redis: RedisServer, schema: str
) -> None:
    async with deployed(tmp_path, postgres, redis, schema, *ALL) as deployment:
        one, two = deployment["server1"], deployment["server2"]
        token = await one.token("ann@example.com")
        opened = await one.post("/trade/create", token, ORDER)
        assert opened.status == 200, opened.body
        order = opened.body["orderId"]
        seen = await two.get("/trade/open", token)
        assert [row["orderId"] for row in seen.body["data"]] == [order], "what is acknowledged is seen on every server"
        closed = await two.post("/trade/close", token, {"orderId": order})
        assert closed.status == 200, closed.body
        assert (await one.post("/trade/close", token, {"orderId": order})).body["code"] == "trade_already_closed"
        history = await one.get("/trade/history", token)
        assert [row["orderId"] for row in history.body["data"]] == [order]
        statement = [(await each.get("/account/statement", token)).body["data"] for each in (one, two)]
        assert statement[0] == statement[1]
        assert len(statement[0]) >= 3
        named = ORDER | {"clientOrderId": "mine"}
        first, again = [await each.post("/trade/create", token, named) for each in (one, two)]
        assert (first.status, again.body) == (200, first.body), "the first answer again, on another server"
        for each in (one, two):
            candles = await each.get("/klines?asset=SOL&interval=1m")
            assert (candles.status, len(candles.body) >= 1) == (200, True)
            assert (await each.get("/ticker?asset=SOL")).status == 200
            async with aiohttp.ClientSession() as browser, browser.get(f"{each.url}/") as page:
                assert page.status == 200
        made = await one.post("/keys", token, {"name": "bot", "scopes": ["read", "trade"]})
        assert made.status == 200, made.body
        headers = {"X-API-Key": made.body["key"], "X-API-Secret": made.body["secret"]}

        async def works() -> bool:
            return (await two.get("/balance", headers=headers)).status == 200

        await until(works, "a key that was made on one server opens the other")
        price = json.loads(redis.command("GET", f"{schema}:price-SOL"))
        assert (price["asset"], float(price["price"]) > 0) == ("SOL", True)
        assert 0 < int(redis.command("PTTL", f"{schema}:price-SOL").removeprefix(":")) <= 30_000
        told = ""
        for name in ALL:
            metrics = await deployment[name].get("/metrics")
            assert metrics.status == 200
            told += str(metrics.body)
        dashboard = (Path(__file__).parents[2] / "docs" / "grafana-spread.json").read_text()
        for metric in set(re.findall(r"\bexness_\w+", dashboard)):
            assert metric in told, metric
        code, said = await commanded(tmp_path, postgres, schema, "rebuild")
        assert (code, "is in use by a server" in said) == (1, True)
        for name in reversed(ALL):
            assert await deployment[name].stop() == 0, deployment[name].errors
        assert deployment.silent_of_secrets()
    await verified(tmp_path, postgres, schema)


def killed(name: str) -> Callable[[Deployment], None]:
    return lambda deployment: deployment[name].kill()


def forget(deployment: Deployment) -> None:
    assert deployment.redis.command("FLUSHALL") == "+OK"


FAULTS = {
    "engine": (killed("engine1"), ("engine1",)),
    "processor": (killed("processor"), ("processor",)),
    "poller": (killed("poller"), ("poller",)),
    "server": (killed("server1"), ("server1",)),
    "wire that forgets": (forget, ()),
}


@pytest.mark.parametrize("fault", FAULTS)
async def test_whatever_dies_under_load_nothing_is_lost_doubled_or_untold(
    tmp_path: Path, postgres: Postgres, redis: RedisServer, schema: str, fault: str
) -> None:
    do, restarted = FAULTS[fault]
    names = ("engine1", "processor", "poller", "server1", "server2")
    async with deployed(tmp_path, postgres, redis, schema, *names) as deployment:
        async with Load(deployment, ("server1", "server2"), users=4, seed=1) as load:
            await load.more(40)
            do(deployment)
            for name in restarted:
                await deployment.restart(name)
            await load.more(40)
            await load.settle()
            counts = await load.check(deployment["server2"])
        assert counts["acknowledged"] >= 80
        print(fault, counts, f"longest {max(user.longest_s for user in load.users):.2f} s")
        assert deployment.silent_of_secrets()
    await verified(tmp_path, postgres, schema)


async def test_a_spare_engine_takes_over_with_slow_commits(
    tmp_path: Path, postgres: Postgres, redis: RedisServer, schema: str
) -> None:
    """An answer that came before its commit would be taken back here."""
    async with deployed(tmp_path, postgres, redis, schema, "engine1", "processor", "poller", "server1") as deployment:
        postgres.sql(SLOW.format(schema))
        spare = deployment.made("engine2")
        starting = asyncio.create_task(spare.__aenter__())
        await until(lambda: any("waiting as a spare" in line for line in (*spare.output, *spare.errors)), within_s=60)
        async with Load(deployment, ("server1",), users=4, seed=2) as load:
            await load.more(30)
            deployment["engine1"].kill()
            await starting
            await load.more(30)
            await load.settle()
            await load.check(deployment["server1"])
    await verified(tmp_path, postgres, schema)


async def test_an_engine_that_was_paused_through_a_take_over_confirms_nothing_and_ends(
    tmp_path: Path, postgres: Postgres, redis: RedisServer, schema: str
) -> None:
    names = ("engine1", "processor", "poller", "server1")
    async with deployed(tmp_path, postgres, redis, schema, *names) as deployment:
        spare = deployment.made("engine2")
        starting = asyncio.create_task(spare.__aenter__())
        await until(lambda: any("waiting as a spare" in line for line in (*spare.output, *spare.errors)), within_s=60)
        async with Load(deployment, ("server1",), users=4, seed=3) as load:
            await load.more(30)
            deployment["engine1"].signal(signal.SIGSTOP)
            postgres.sql(CUT_THE_ENGINE)
            await starting
            await load.more(20)
            deployment["engine1"].signal(signal.SIGCONT)
            assert await deployment["engine1"].wait() == 1
            await load.more(20)
            await load.settle()
            await load.check(deployment["server1"])
    await verified(tmp_path, postgres, schema)


async def test_a_wire_and_a_database_that_are_killed_come_back(tmp_path: Path) -> None:
    postgres_or_skip()
    redis_or_skip()
    names = ("engine1", "processor", "poller", "server1", "server2")
    with a_cluster() as own, a_redis() as redis:
        async with (
            deployed(tmp_path, own, redis, "whole", *names) as deployment,
            Load(deployment, ("server1", "server2"), users=4, seed=4) as load,
        ):
            await load.more(40)
            redis.kill()
            redis.start()
            await load.more(40)
            own.stop()
            own.start()
            for name in ("engine1", "processor", "poller"):
                await deployment.restart(name)
            await load.more(40)
            await load.settle()
            await load.check(deployment["server1"])
        await verified(tmp_path, own, "whole")


@pytest.mark.parametrize(
    ("env", "why"),
    [
        ({"EXNESS_DEPLOY_BUS": ""}, 'deploy.bus must be set when deploy.role is "engine"'),
        ({"EXNESS_DEPLOY_DATABASE": ""}, "deploy.database must be set when deploy.bus is"),
        ({"EXNESS_DEPLOY_BUS": "amqp://u:quite-secret@h"}, "deploy.bus must be a URL like redis://"),
        ({"EXNESS_STORAGE_ACKNOWLEDGE": "memory"}, 'storage.acknowledge = "memory" works with deploy.role "all" only'),
        ({"EXNESS_DEV_CONTROL": "true"}, 'dev.control = true works with deploy.role "all" only, not "engine"'),
        ({"EXNESS_AUTH_SECRET": ""}, "auth.secret must be set when deploy.database is"),
        (
            {
                "EXNESS_DEPLOY_ROLE": "server",
                "EXNESS_SERVER_PRODUCTION": "true",
                "EXNESS_SERVER_PUBLIC_URL": "https://x.y",
            },
            'deploy.role "server" in production needs auth.resend_api_key or auth.smtp_url',
        ),
    ],
)
async def test_a_role_that_can_not_be_is_refused_by_name(tmp_path: Path, env: dict[str, str], why: str) -> None:
    settings = {
        "EXNESS_DEPLOY_ROLE": "engine",
        "EXNESS_DEPLOY_DATABASE": "postgresql://u:quite-secret@127.0.0.1:1/d",
        "EXNESS_DEPLOY_BUS": "redis://u:quite-secret@127.0.0.1:1/0",
        "EXNESS_AUTH_SECRET": SECRET,
    }
    with pytest.raises(DidNotStart) as refused:
        async with Server(tmp_path / "data", env=settings | env):
            pass
    assert why in str(refused.value)
    assert "quite-secret" not in str(refused.value)
