"""The exchange on PostgreSQL as its operators have it: started, asked, killed, taken over, looked after."""

import asyncio
import csv
import io
import json
import os
import signal
import time
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import asynccontextmanager, contextmanager, suppress
from pathlib import Path
from typing import Any

import aiohttp
import pytest

from tests.acceptance.ledger import Ledger
from tests.spread.servers import SECRET, SLOW, server, settings
from tests.support.postgres import Postgres, a_cluster
from tests.support.process import Answer, DidNotStart, Server, finished
from tests.support.waiting import until

pytestmark = [pytest.mark.slow, pytest.mark.timeout(60 + 30 * int(os.environ.get("SPREAD_ROUNDS", "3")))]

ROUNDS = int(os.environ.get("SPREAD_ROUNDS", "3"))
"""Of kills, and of cuts."""
ORDER = {"asset": "SOL", "type": "long", "margin": "1.5", "leverage": 2}


async def commanded(folder: Path, postgres: Postgres, schema: str, *words: str) -> tuple[int, str]:
    """Exit code and output of a command of this exchange, from a folder of its own."""
    done = await finished(
        *words, "--data-dir", str(folder / "elsewhere"), env=settings(postgres, schema), cwd=postgres.folder
    )
    assert "quite-secret" not in done.output + done.errors
    assert SECRET not in done.output + done.errors
    return done.code, done.output + done.errors


async def verified(folder: Path, postgres: Postgres, schema: str) -> str:
    code, said = await commanded(folder, postgres, schema, "verify")
    assert code == 0, said
    return said


def silent_of_secrets(*servers: Server) -> bool:
    said = "\n".join(line for each in servers for line in (*each.output, *each.errors))
    return "quite-secret" not in said and SECRET not in said


async def test_an_exchange_on_postgresql_trades_and_its_commands_work_from_anywhere(
    tmp_path: Path, postgres: Postgres, schema: str
) -> None:
    async with server(tmp_path / "one", postgres, schema) as one:
        where = one.banner("data")
        assert where.startswith(f"PostgreSQL at 127.0.0.1:{postgres.port}, database postgres, schema {schema}, shard 0")
        assert "epoch 1; one copy: no synchronous standby" in where
        token = await one.token("ann@example.com")
        opened = await one.post("/trade/create", token, ORDER)
        assert opened.status == 200, opened.body
        order = opened.body["orderId"]
        closed = await one.post("/trade/close", token, {"orderId": order})
        assert closed.status == 200, closed.body
        history = await one.get("/trade/history", token)
        assert [each["orderId"] for each in history.body["data"]] == [order]
        statement = await one.get("/account/statement", token)
        assert len(statement.body["data"]) >= 3

        code, said = await commanded(tmp_path / "two", postgres, schema, "accounts", "--csv")
        (row,) = csv.DictReader(io.StringIO(said))
        assert (code, row["email"], row["trades"], row["open"]) == (0, "ann@example.com", "1", "0"), said
        code, said = await commanded(tmp_path / "two", postgres, schema, "statement", "ann@example.com", "--csv")
        moves = list(csv.DictReader(io.StringIO(said)))
        assert [each["amount"] for each in moves] == [each["amount"] for each in statement.body["data"]], said

        code, said = await commanded(tmp_path / "two", postgres, schema, "rebuild")
        assert (code, "is in use by a server" in said) == (1, True)
        code, key = await commanded(tmp_path / "two", postgres, schema, "key", "create", "ann@example.com")
        made = json.loads(key.splitlines()[-1])
        headers = {"X-API-Key": made["key"], "X-API-Secret": made["secret"]}
        assert (await one.get("/balance", headers=headers)).status == 200, "a running server learns of it at once"
        code, _ = await commanded(tmp_path / "two", postgres, schema, "token", "ann@example.com", "--revoke")
        assert code == 0
        assert (await one.get("/balance", token)).status == 401
        said = await verified(tmp_path / "two", postgres, schema)
        assert "every row is what the journal leads to" in said
        assert await one.stop() == 0
        assert silent_of_secrets(one)
    said = await verified(tmp_path / "two", postgres, schema)
    assert "tables        every row is what the journal leads to\n" in said
    code, said = await commanded(tmp_path / "two", postgres, schema, "rebuild")
    assert (code, "are made anew from" in said) == (0, True), said
    assert "tables        every row is what the journal leads to\n" in await verified(tmp_path, postgres, schema)
    code, said = await commanded(tmp_path / "two", postgres, schema, "repair", "--cut")
    assert (code, "there is nothing to repair" in said) == (0, True), said
    assert list((tmp_path / "one").glob("data/*.db")) == [], "nothing is kept in files"


async def test_a_backup_of_the_database_is_a_backup_like_any_other(
    tmp_path: Path, postgres: Postgres, schema: str
) -> None:
    async with server(tmp_path / "one", postgres, schema) as one:
        token = await one.token("ann@example.com")
        for _ in range(5):
            assert (await one.post("/trade/create", token, ORDER)).status == 200
        code, said = await commanded(tmp_path, postgres, schema, "backup", str(tmp_path / "copy.db"))
        assert code == 0, said
        state = (await one.get("/trade/open", token)).body
    env = {"EXNESS_AUTH_SECRET": SECRET}
    checked = await finished("verify", str(tmp_path / "copy.db"), env=env, cwd=tmp_path)
    assert checked.code == 0, checked.errors
    code, said = await commanded(tmp_path, postgres, schema, "restore", str(tmp_path / "copy.db"))
    assert (code, "bring a database back with PostgreSQL's own means" in said) == (1, True)
    data_dir = tmp_path / "files"
    restored = await finished("restore", str(tmp_path / "copy.db"), "--data-dir", str(data_dir), env=env, cwd=tmp_path)
    assert restored.code == 0, restored.errors
    async with Server(data_dir, env=env) as files:
        token = await files.token("ann@example.com")
        found = (await files.get("/trade/open", token)).body
        assert [each["orderId"] for each in found["data"]] == [each["orderId"] for each in state["data"]]
        assert len(found["data"]) == 5


async def test_a_damaged_record_is_found_and_nothing_is_cut(tmp_path: Path, postgres: Postgres, schema: str) -> None:
    async with server(tmp_path / "one", postgres, schema) as one:
        assert (await one.post("/trade/create", await one.token("ann@example.com"), ORDER)).status == 200
        assert await one.stop() == 0
    postgres.sql(f"UPDATE \"{schema}\".journal SET payload = replace(payload, 'ann', 'bob') WHERE seq = 1")
    for words in (("repair",), ("repair", "--cut"), ("verify",), ("rebuild",)):
        code, said = await commanded(tmp_path, postgres, schema, *words)
        assert (code, "journal record 1 is damaged: its checksum does not match" in said) == (1, True), said
    assert postgres.sql(f'SELECT count(*) FROM "{schema}".journal') != "0"


async def each_trades(current: Server, ledgers: list[Ledger], fault: Callable[[], None], *, at: int = 12) -> None:
    """Opens and closes by all at once; with the `at`-th success comes the fault. What is no success may have been done
    or not."""
    successes = 0

    async def asked(path: str, ledger: Ledger, body: dict[str, Any]) -> Answer | None:
        nonlocal successes
        try:
            answer = await current.post(path, ledger.token, body)
        except aiohttp.ClientError:
            return None
        if answer.status == 200:
            successes += 1
            if successes == at:
                fault()
        return answer

    async def opens(ledger: Ledger) -> None:
        answer = await asked("/trade/create", ledger, ORDER)
        if answer is not None and answer.status == 200:
            ledger.note(answer)
        else:
            ledger.unanswered += 1

    async def closes(ledger: Ledger, order: str) -> None:
        answer = await asked("/trade/close", ledger, {"orderId": order})
        if answer is not None and answer.status in (200, 409):
            ledger.note_close(order, answer)
        else:
            ledger.note_unanswered_close(order)

    work = [opens(ledger) for ledger in ledgers for _ in range(10)]
    for ledger in ledgers:
        work += [closes(ledger, order) for order in [*ledger.created][-4:] if order not in ledger.closed]
    await asyncio.gather(*work)
    assert successes >= at


async def signed_in(current: Server) -> list[Ledger]:
    return [Ledger(email, await current.token(email)) for email in ("ann@example.com", "bob@example.com")]


@asynccontextmanager
async def with_spare(tmp_path: Path, postgres: Postgres, schema: str, **more: str) -> AsyncIterator["Pair"]:
    first, second = (server(tmp_path / name, postgres, schema, **more) for name in ("one", "two"))
    async with first:
        pair = Pair(first, second)
        await pair.begin_spare()
        try:
            yield pair
        finally:
            await pair.end()


class Pair:
    """The active process and the one that waits."""

    def __init__(self, active: Server, spare: Server) -> None:
        self.active, self.spare = active, spare
        self._starting: asyncio.Task[Server] | None = None
        self._entered: set[int] = {id(active)}

    async def begin_spare(self) -> None:
        """Start it, and return once it waits for the shard."""
        spare = self.spare
        spare.output, spare.errors = [], []  # of its life before
        self._starting = asyncio.create_task(self._start(spare))
        await until(lambda: any("waiting as a spare" in line for line in (*spare.output, *spare.errors)), within_s=60)

    async def take_over(self) -> float:
        """The spare has become the active one; after how many seconds. The other one is the next spare, not started."""
        assert self._starting is not None
        began = time.monotonic()
        await self._starting
        self.active, self.spare = self.spare, self.active
        return time.monotonic() - began

    async def end(self) -> None:
        if self._starting is not None and not self._starting.done():
            self.spare.kill()
            await asyncio.gather(self._starting, return_exceptions=True)
        for each in (self.active, self.spare):
            if each.process is not None and id(each) in self._entered:
                await each.__aexit__(None, None, None)

    async def _start(self, spare: Server) -> Server:
        if id(spare) not in self._entered:
            self._entered.add(id(spare))
            return await spare.__aenter__()
        await spare.start()
        return spare


@pytest.mark.parametrize("slow", [False, True], ids=["as it is", "slow commits"])
async def test_acknowledged_trades_outlive_kill_nine_and_a_spare_takes_over(
    tmp_path: Path, postgres: Postgres, schema: str, slow: bool
) -> None:
    silences = []
    async with with_spare(tmp_path, postgres, schema) as pair:
        if slow:
            postgres.sql(SLOW.format(schema))
        ledgers = await signed_in(pair.active)
        for _ in range(ROUNDS):
            await each_trades(pair.active, ledgers, pair.active.kill)
            silences.append(await pair.take_over())
            for ledger in ledgers:
                await ledger.assert_kept(pair.active)
            await pair.spare.wait()
            await pair.begin_spare()
        assert silent_of_secrets(pair.active, pair.spare)
    print(f"{ROUNDS} kills, silences {[round(each, 2) for each in sorted(silences)]} s")
    await verified(tmp_path, postgres, schema)


async def test_sessions_that_are_cut_end_the_engine_and_the_spare_goes_on(
    tmp_path: Path, postgres: Postgres, schema: str
) -> None:
    silences = []
    async with with_spare(tmp_path, postgres, schema) as pair:
        ledgers = await signed_in(pair.active)
        for _ in range(ROUNDS):
            await each_trades(pair.active, ledgers, postgres.cut_sessions)
            silences.append(await pair.take_over())
            assert await pair.spare.wait() == 1
            assert any("start again" in line or "can't be used" in line for line in pair.spare.errors)
            for ledger in ledgers:
                await ledger.assert_kept(pair.active)
            await pair.begin_spare()
        assert silent_of_secrets(pair.active, pair.spare)
    print(f"{ROUNDS} cuts, silences {[round(each, 2) for each in sorted(silences)]} s")
    await verified(tmp_path, postgres, schema)


async def test_a_database_that_is_killed_and_started_again_has_all_that_was_acknowledged(
    tmp_path: Path, schema: str
) -> None:
    with a_cluster() as own:
        async with with_spare(tmp_path, own, schema) as pair:
            ledgers = await signed_in(pair.active)
            await each_trades(pair.active, ledgers, own.stop)
            assert await pair.active.wait() == 1
            own.start()
            await pair.take_over()
            for ledger in ledgers:
                await ledger.assert_kept(pair.active)
        await verified(tmp_path, own, schema)


async def test_an_engine_that_was_paused_through_a_take_over_answers_no_success_and_ends(
    tmp_path: Path, postgres: Postgres, schema: str
) -> None:
    async with with_spare(tmp_path, postgres, schema) as pair:
        ledgers = await signed_in(pair.active)
        await each_trades(pair.active, ledgers, lambda: None)
        old = pair.active
        old.signal(signal.SIGSTOP)
        asked = [asyncio.create_task(old.post("/trade/create", ledgers[0].token, ORDER)) for _ in range(5)]
        postgres.cut_sessions()
        await pair.take_over()
        before = postgres.sql(f'SELECT last_seq FROM "{schema}".shards')
        old.signal(signal.SIGCONT)
        for answer in await asyncio.gather(*asked, return_exceptions=True):
            assert isinstance(answer, aiohttp.ClientError) or says_ask_again(answer)
        assert await old.wait() == 1
        assert postgres.sql(f'SELECT last_seq FROM "{schema}".shards') == before
        for ledger in ledgers:
            await ledger.assert_kept(pair.active)
    await verified(tmp_path, postgres, schema)


async def test_an_engine_whose_epoch_was_taken_behind_its_back_ends_by_itself(
    tmp_path: Path, postgres: Postgres, schema: str
) -> None:
    async with server(tmp_path / "one", postgres, schema) as one:
        token = await one.token("ann@example.com")
        postgres.sql(f'UPDATE "{schema}".shards SET epoch = epoch + 1')
        with suppress(aiohttp.ClientError):
            assert says_ask_again(await one.post("/trade/create", token, ORDER))
        assert await one.wait() == 1
        assert "another process is the engine of shard 0 now" in "\n".join(one.errors)
    assert postgres.sql(f"SELECT count(*) FROM \"{schema}\".journal WHERE kind = 'trade_opened'") == "0"


async def test_an_order_whose_commit_hangs_is_answered_once_it_is_through(
    tmp_path: Path, postgres: Postgres, schema: str
) -> None:
    async with server(tmp_path / "one", postgres, schema) as one:
        token = await one.token("ann@example.com")
        assert (await one.get("/balance", token)).status == 200
        with hanging(postgres, schema):
            asked = asyncio.create_task(one.post("/trade/create", token, ORDER))
            await until(lambda: waits_for_a_lock(postgres))
            assert not asked.done()
        assert (await asked).status == 200


async def test_a_commit_that_succeeds_unseen_is_there_after_the_take_over(
    tmp_path: Path, postgres: Postgres, schema: str
) -> None:
    """The engine dies while PostgreSQL is at its commit. The lock is that session's: the spare waits for its end, and
    so sees what it has done."""
    async with with_spare(tmp_path, postgres, schema) as pair:
        (ledger, _) = await signed_in(pair.active)
        assert (await pair.active.get("/balance", ledger.token)).status == 200
        with hanging(postgres, schema):
            asked = asyncio.create_task(pair.active.post("/trade/create", ledger.token, ORDER))
            await until(lambda: waits_for_a_lock(postgres))
            pair.active.kill()
            with pytest.raises(aiohttp.ClientError):
                await asked
            ledger.unanswered += 1
        await pair.take_over()
        listed = (await pair.active.get("/trade/open", ledger.token)).body["data"]
        assert len(listed) == 1
        await ledger.assert_kept(pair.active)


async def test_a_server_that_is_told_to_stop_hands_over(tmp_path: Path, postgres: Postgres, schema: str) -> None:
    async with with_spare(tmp_path, postgres, schema) as pair:
        ledgers = await signed_in(pair.active)
        await each_trades(pair.active, ledgers, lambda: None)
        assert await pair.active.stop() == 0
        assert await pair.take_over() < 30
        assert pair.active.recovered.replayed == 0, "the last snapshot is of the last record"
        for ledger in ledgers:
            await ledger.assert_kept(pair.active)


def says_ask_again(answer: object) -> bool:
    """Whether a client was told that it has to ask again."""
    return isinstance(answer, Answer) and answer.status in (500, 503)


@contextmanager
def hanging(postgres: Postgres, schema: str) -> Iterator[None]:
    """No append gets through in it."""
    with postgres.session() as other:
        other(f'BEGIN; LOCK TABLE "{schema}".journal IN SHARE MODE;')
        yield


def waits_for_a_lock(postgres: Postgres) -> bool:
    waiting = "application_name LIKE 'exness engine%' AND wait_event_type = 'Lock'"
    return postgres.sql(f"SELECT count(*) FROM pg_stat_activity WHERE {waiting}") == "1"


@pytest.mark.parametrize(
    ("env", "why"),
    [
        ({"EXNESS_DEPLOY_BUS": "redis://127.0.0.1:1/0"}, 'deploy.role "all" does everything by itself'),
        ({"EXNESS_DEPLOY_SHARDS": "2"}, "deploy.shards must be an integer from 1 to 1, not"),
        ({"EXNESS_AUTH_SECRET": ""}, "auth.secret must be set when deploy.database is"),
        ({"EXNESS_DEPLOY_DATABASE": "mysql://u:quite-secret@h/d"}, "deploy.database must be a URL like postgresql://"),
        ({"EXNESS_DEPLOY_NAME": "Robert'); DROP"}, "deploy.name must be 1 to 31 lowercase letters"),
        ({"EXNESS_DEPLOY_DATABASE": "postgresql://u:quite-secret@127.0.0.1:1/d"}, "PostgreSQL at 127.0.0.1:1"),
    ],
)
async def test_what_can_not_be_is_refused_by_name(
    tmp_path: Path, postgres: Postgres, schema: str, env: dict[str, str], why: str
) -> None:
    with pytest.raises(DidNotStart) as refused:
        async with server(tmp_path / "one", postgres, schema, **env):
            pass
    assert why in str(refused.value)
    assert "quite-secret" not in str(refused.value)
