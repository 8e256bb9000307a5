"""Whatever is wrong with what the operator gives it: one sentence that names the culprit, the right exit code, no
trace of the inside, and nothing damaged."""

import gzip
import hashlib
import socket
import sqlite3
import stat
from collections.abc import Callable
from pathlib import Path
from typing import NamedTuple

import pytest

from exness import __version__
from tests.acceptance.ledger import Ledger
from tests.support.process import DidNotStart, Finished, Server, finished

COMMANDS = ("serve", "config", "token", "verify", "backup", "restore", "version")

CANDLES = "timestamp_s,open,high,low,close,volume\n"
QUOTES = "timestamp_us,symbol,bid,ask\n"


class Case(NamedTuple):
    """`make` puts things into a folder and gives the command's arguments. `names` must all be in the sentence."""

    make: Callable[[Path], list[str]]
    names: tuple[str, ...]
    env: dict[str, str]
    code: int = 1


def serve_with_config(text: str | bytes) -> Callable[[Path], list[str]]:
    def make(folder: Path) -> list[str]:
        data = text if isinstance(text, bytes) else text.encode()
        (folder / "mine.toml").write_bytes(data)
        return ["serve", "--port", "0", "--config", str(folder / "mine.toml")]

    return make


def serve(*flags: str) -> Callable[[Path], list[str]]:
    """`{}` in a flag is the folder."""
    return lambda folder: ["serve", "--port", "0", *(flag.replace("{}", str(folder)) for flag in flags)]


def replay(name: str, text: str | bytes) -> Callable[[Path], list[str]]:
    def make(folder: Path) -> list[str]:
        (folder / name).write_bytes(text if isinstance(text, bytes) else text.encode())
        return ["serve", "--port", "0", "--feed", "replay", "--replay", str(folder / name)]

    return make


def on_a_file(folder: Path) -> list[str]:
    (folder / "f").write_text("x")
    return ["serve", "--data-dir", str(folder / "f")]


def orders(rows: str) -> Callable[[Path], list[str]]:
    def make(folder: Path) -> list[str]:
        (folder / "q.csv").write_text(f"{QUOTES}1722816000000000,SOL_USDC,150,150.1\n")
        (folder / "orders.csv").write_text(f"time,account,do,order,asset,type,margin,leverage\n{rows}")
        return ["serve", "--port", "0", "--replay", str(folder / "q.csv"), "--orders", str(folder / "orders.csv")]

    return make


def two_recordings(folder: Path) -> list[str]:
    (folder / "candles1m_SOL_a.csv").write_text(f"{CANDLES}1722816000,1,2,1,2,1\n1722816060,1,2,1,2,1\n")
    (folder / "candles1m_SOL_b.csv").write_text(f"{CANDLES}1722816060,1,2,1,2,7\n")
    return ["serve", "--port", "0", "--replay", *(str(folder / f"candles1m_SOL_{name}.csv") for name in "ab")]


def below_a_file(*arguments: str) -> Callable[[Path], list[str]]:
    def make(folder: Path) -> list[str]:
        (folder / "file").write_text("not a directory")
        return [*arguments, "--data-dir", str(folder / "file" / "data")]

    return make


def database(write: Callable[[Path], object], name: str = "journal.db") -> Callable[[Path], list[str]]:
    def make(folder: Path) -> list[str]:
        (folder / "data").mkdir()
        write(folder / "data" / name)
        return ["serve", "--port", "0", "--data-dir", str(folder / "data")]

    return make


def sqlite(*statements: str) -> Callable[[Path], object]:
    def write(path: Path) -> None:
        connection = sqlite3.connect(path)
        for statement in statements:
            connection.execute(statement)
        connection.commit()
        connection.close()

    return write


CASES = {
    "an unknown key in the config file": Case(
        serve_with_config("[server]\nprot = 8002\n"), ("mine.toml", "server.prot"), {}
    ),
    "an unknown section in the config file": Case(serve_with_config("[sever]\nport = 1\n"), ("mine.toml", "sever"), {}),
    "an ill-typed value in the config file": Case(
        serve_with_config('[engine]\ninbox_size = "many"\n'), ("mine.toml", "engine.inbox_size", '"many"'), {}
    ),
    "a value out of bounds in the config file": Case(
        serve_with_config("[assets.SOL]\nmax_leverage = 101\n"), ("assets.SOL.max_leverage", "101"), {}
    ),
    "a config file that is not TOML": Case(serve_with_config("[server\nport 8002"), ("mine.toml", "TOML"), {}),
    "a config file that is no text": Case(serve_with_config(b"\xff\xfe\x00"), ("mine.toml", "UTF-8"), {}),
    "a config file that is not there": Case(serve("--config", "{}/no.toml"), ("no.toml", "no such"), {}),
    "a config file that is a directory": Case(serve("--config", "{}"), ("config file",), {}),
    "an ill-typed variable": Case(
        serve(), ("EXNESS_TRADING_INITIAL_BALANCE", "trading.initial_balance"), {"EXNESS_TRADING_INITIAL_BALANCE": "x"}
    ),
    "a port that is no number": Case(lambda _: ["serve", "--port", "http"], ("server.port", '"http"'), {}, code=2),
    "a port beyond the last": Case(lambda _: ["serve", "--port", "65536"], ("server.port", "65536"), {}, code=2),
    "a host that is none": Case(serve("--host", "no.such.host.invalid"), ("no.such.host.invalid",), {}),
    "a feed address that is none": Case(
        serve("--feed", "backpack", "--feed-url", "http://x"), ("feed.url", "http://x"), {}, code=2
    ),
    "a speed of 0": Case(serve("--speed", "0"), ("feed.speed", '"0"'), {}, code=2),
    "a replay without files": Case(serve("--feed", "replay"), ("replay",), {}),
    "a replay file that is not there": Case(serve("--replay", "{}/candles5m_SOL_x.csv"), ("candles5m_SOL_x.csv",), {}),
    "a replay file with a broken line": Case(
        replay("candles5m_SOL_x.csv", CANDLES + "1722816300,1,2,0.5,1.5,9\n1722816600,1,2,oops,1.5,9\n"),
        ("candles5m_SOL_x.csv, line 3", "low", "oops"),
        {},
    ),
    "a replay file with another header": Case(replay("x.csv", "a,b\n1,2\n"), ("x.csv, line 1", "header"), {}),
    "a replay file without a row": Case(replay("candles5m_SOL_x.csv", CANDLES), ("candles5m_SOL_x.csv",), {}),
    "a replay file of an asset nobody trades": Case(
        replay("candles5m_DOGE_x.csv", CANDLES + "1722816300,1,2,0.5,1.5,9\n"), ("candles5m_DOGE_x.csv", "DOGE"), {}
    ),
    "a replay file that is half a gzip": Case(
        replay("candles5m_SOL_x.csv.gz", gzip.compress(CANDLES.encode())[:-9]), ("csv.gz", "gzip"), {}
    ),
    "a replay file that is a zip archive": Case(replay("q.csv", b"PK\x03\x04..."), ("q.csv", "a zip archive"), {}),
    "candles in milliseconds": Case(
        replay("candles5m_SOL_x.csv", CANDLES + "1722816300000,1,2,0.5,1.5,9\n"),
        ("candles5m_SOL_x.csv, line 2: timestamp_s", "in seconds", "looks like milliseconds"),
        {},
    ),
    "quotes in milliseconds": Case(
        replay("q.csv", QUOTES + "1722816000000,SOL_USDC,150,150.1\n"),
        ("q.csv, line 2: timestamp_us", "in microseconds", "looks like milliseconds"),
        {},
    ),
    "quotes in microseconds and then in seconds": Case(
        replay("q.csv", QUOTES + "1722816000000000,SOL_USDC,150,150.1\n1722816001,SOL_USDC,150,150.1\n"),
        ("q.csv, line 3: timestamp_us", "looks like seconds"),
        {},
    ),
    "quotes with a hole of a month at real speed": Case(
        replay("q.csv", QUOTES + "1722816000000000,SOL_USDC,150,150.1\n1725494400000000,SOL_USDC,150,150.1\n"),
        ("q.csv, line 3", "31.0 days", "--allow-gaps"),
        {},
    ),
    "the start of a part in seconds": Case(
        serve("--from", "1722816120"), ("feed.replay_from", "in microseconds", "looks like seconds"), {}, code=2
    ),
    "the end of a part in milliseconds": Case(
        lambda _: ["venue", "--port", "0", "--to", "1722816120000"],
        ("feed.replay_to", "looks like milliseconds"),
        {},
        code=2,
    ),
    "the start of a part as a date of another form": Case(
        lambda _: ["venue", "--from", "2024-W32-1"], ("feed.replay_from", "2024-08-05T06:00:00Z"), {}, code=2
    ),
    "the start of a part in the environment": Case(
        serve(), ("EXNESS_FEED_REPLAY_FROM", "looks like seconds"), {"EXNESS_FEED_REPLAY_FROM": "1722816120"}
    ),
    "orders in seconds": Case(
        orders("1722816010,ann@example.com,open,a,SOL,long,10,1\n"),
        ("orders.csv, line 2: time", "looks like seconds"),
        {},
    ),
    "orders with an amount of seven decimals": Case(
        orders("2024-08-05,ann@example.com,open,a,SOL,long,1e-7,1\n"), ("orders.csv, line 2: margin", "1e-7"), {}
    ),
    "orders with a comma in an amount": Case(
        orders('2024-08-05,ann@example.com,open,a,SOL,long,"1,000",1\n'), ("orders.csv, line 2: margin", "1,000"), {}
    ),
    "orders with a leverage and its unit": Case(
        orders("2024-08-05,ann@example.com,open,a,SOL,long,10,10x\n"), ("orders.csv, line 2: leverage", "10x"), {}
    ),
    "orders of an address that can't sign in": Case(
        orders("2024-08-05,a@b,open,a,SOL,long,10,1\n"), ("orders.csv, line 2: account", "you@example.com"), {}
    ),
    "two recordings of one asset and time": Case(
        two_recordings, ("candles1m_SOL_b.csv, line 2", "candles1m_SOL_a.csv, line 3", "2024-08-05T00:01:00Z"), {}
    ),
    "a data directory that can't be made": Case(below_a_file("serve", "--port", "0"), ("file/data",), {}),
    "a data directory that is a file": Case(on_a_file, ("/f ",), {}),
    "a token into a directory that can't be made": Case(below_a_file("token", "a@example.com"), ("file/data",), {}),
    "a database that is no database": Case(
        database(lambda path: path.write_text("once upon a time " * 500)), ("data/journal.db", "no SQLite database"), {}
    ),
    "a database of another program": Case(
        database(sqlite("CREATE TABLE theirs (x)")), ("data/journal.db", "another application"), {}
    ),
    "a database of a newer version": Case(
        database(
            sqlite(f"PRAGMA application_id = {0x65786D6A}", "PRAGMA user_version = 999", "CREATE TABLE journal (x)")
        ),
        ("data/journal.db", "newer version", "999"),
        {},
    ),
    "a database that is a directory": Case(database(lambda path: path.mkdir()), ("data/journal.db",), {}),
    "a secret too short to be one": Case(database(lambda path: path.write_text("abc"), "secret"), ("data/secret",), {}),
    "a token for what is no address": Case(lambda _: ["token", "nobody"], ("'nobody'",), {}, code=2),
    "a token for an address on two lines": Case(lambda _: ["token", "a@b.com\nc@d.com"], ("address",), {}, code=2),
}


@pytest.mark.parametrize("name", CASES)
async def test_what_is_wrong_is_said_in_one_sentence(tmp_path: Path, name: str) -> None:
    case = CASES[name]
    arguments = case.make(tmp_path)
    before = contents(tmp_path)
    done = await finished(*arguments, env=case.env, cwd=tmp_path)
    assert_one_sentence(done, case.code, *case.names)
    after = contents(tmp_path)
    assert {path: after[path] for path in before} == before, "what was there is as it was"


USAGE = {
    "no command": ([], "COMMAND"),
    "an unknown command": (["sevre"], "sevre"),
    "an unknown flag": (["serve", "--nonsense"], "--nonsense"),
    "a flag cut short": (["serve", "--dat", "x"], "--dat"),
    "a flag without its value": (["serve", "--data-dir"], "--data-dir"),
    "a feed there is not": (["serve", "--feed", "kraken"], "kraken"),
    "a token for nobody": (["token"], "EMAIL"),
    "one argument too many": (["version", "please"], "please"),
}


@pytest.mark.parametrize("name", USAGE)
async def test_wrong_usage_is_exit_code_2(tmp_path: Path, name: str) -> None:
    arguments, culprit = USAGE[name]
    done = await finished(*arguments, cwd=tmp_path)
    assert (done.code, done.output) == (2, "")
    assert done.errors.startswith("usage: exness")
    sentence = done.errors.splitlines()[-1]
    assert sentence.startswith("exness")
    assert culprit in sentence
    assert contents(tmp_path) == {}


async def test_a_port_in_use_is_refused_and_the_directory_is_as_it_was(tmp_path: Path) -> None:
    async with Server(tmp_path / "data") as server:
        ann = Ledger("ann@example.com", await server.token("ann@example.com"))
        ann.note(
            await server.post("/trade/create", ann.token, {"asset": "SOL", "type": "long", "margin": 1, "leverage": 2})
        )
        assert await server.stop() == 0
        with socket.create_server(("127.0.0.1", 0)) as taken:
            port = str(taken.getsockname()[1])
            done = await finished("serve", "--port", port, "--data-dir", str(server.data_dir), cwd=tmp_path)
        assert_one_sentence(done, 1, f"127.0.0.1:{port}", "in use", "--port")
        await server.start()
        assert server.recovered.open_trades == 1
        await ann.assert_kept(server)


@pytest.mark.parametrize(
    ("host", "words"),
    [
        ("nosuchhost.invalid", ["no such host", "nosuchhost.invalid"]),
        ("[::1]", ["without brackets", "--host ::1"]),
        ("192.0.2.1", ["not an address of this machine"]),
        ("a..b", ["no such host"]),
        ("x" * 300, ["no such host"]),
    ],
)
async def test_a_host_that_cannot_be_listened_on_is_told_of_and_no_port_is_blamed(
    tmp_path: Path, host: str, words: list[str]
) -> None:
    done = await finished("serve", "--port", "0", "--host", host, "--data-dir", "data", cwd=tmp_path)
    assert_one_sentence(done, 1, "can't listen", *words)
    assert "--port" not in done.errors
    assert "unknown error" not in done.errors


async def test_an_asset_with_open_trades_cannot_be_left_out(tmp_path: Path) -> None:
    async with Server(tmp_path / "data") as server:
        ann = Ledger("ann@example.com", await server.token("ann@example.com"))
        ann.note(
            await server.post("/trade/create", ann.token, {"asset": "BTC", "type": "long", "margin": 1, "leverage": 2})
        )
        assert await server.stop() == 0
        without = Server(server.data_dir, env={"EXNESS_ASSETS_BTC_ENABLED": "false"})
        with pytest.raises(DidNotStart) as refusal:
            await without.start()
        assert_one_sentence(Finished(refusal.value.code, "", refusal.value.errors + "\n"), 1, "BTC", "[assets.BTC]")
        await server.start()
        await ann.assert_kept(server)


@pytest.mark.parametrize("command", [[], *([each] for each in COMMANDS)], ids=lambda each: " ".join(each) or "exness")
async def test_every_command_explains_itself(tmp_path: Path, command: list[str]) -> None:
    done = await finished(*command, "--help", cwd=tmp_path)
    assert (done.code, done.errors) == (0, "")
    assert done.output.startswith(" ".join(["usage: exness", *command]))
    assert contents(tmp_path) == {}


@pytest.mark.parametrize("asked", ["version", "--version"])
async def test_the_version_is_printed(tmp_path: Path, asked: str) -> None:
    assert await finished(asked, cwd=tmp_path) == (0, f"exness {__version__}\n", "")


async def test_the_secret_is_for_its_owner_only(tmp_path: Path) -> None:
    done = await finished("token", "ann@example.com", cwd=tmp_path)
    assert (done.code, done.errors) == (0, "")
    secret = tmp_path / "data" / "secret"
    assert stat.S_IMODE(secret.stat().st_mode) == 0o600
    assert len(secret.read_bytes()) >= 32
    made = sorted(path.name for path in (tmp_path / "data").iterdir())
    assert made == ["auth.db", "secret"], "and no draft of it is left"
    assert stat.S_IMODE((tmp_path / "data" / "auth.db").stat().st_mode) == 0o600
    before = secret.read_bytes()
    async with Server(tmp_path / "data") as server:
        assert (await server.get("/account", done.output.strip())).status == 200
    assert secret.read_bytes() == before


def assert_one_sentence(done: Finished, code: int, *names: str) -> None:
    assert (done.code, done.output) == (code, ""), done.errors
    assert done.errors.endswith("\n")
    assert len(done.errors.splitlines()) == 1, done.errors
    assert done.errors.startswith("exness: ")
    for name in names:
        assert name in done.errors


def contents(folder: Path) -> dict[str, str]:
    """Everything below a folder, with a hash of each file."""
    return {
        str(path.relative_to(folder)): hashlib.sha256(path.read_bytes()).hexdigest() if path.is_file() else "directory"
        for path in folder.rglob("*")
    }
