"""freqtrade as a process, with examples/freqtrade as it is but for the address, and a look into its database."""

import asyncio
import json
import os
import signal
import sqlite3
from collections.abc import Callable
from contextlib import closing
from pathlib import Path
from typing import Any

from tests.bots.clients import Key, python_of
from tests.support.process import ROOT

EXAMPLE = ROOT / "examples" / "freqtrade"
ADDRESS = "http://127.0.0.1:8002"
RESTS = """

class Rests(AlwaysEnter):
    protections = [{"method": "CooldownPeriod", "stop_duration_candles": 5}]
"""
"""The same strategy, but what it has left it does not enter again within a test: a bot that is stopped between an order
and its answer does not know the order."""


def _hear_sigint() -> None:
    """What a shell without job control starts in its background ignores SIGINT, and so would all that it starts."""
    signal.signal(signal.SIGINT, signal.SIG_DFL)


class Freqtrade:
    """One bot. `settings` come on top of those of the example."""

    def __init__(self, folder: Path, url: str, key: Key, *, rests: bool = False, **settings: Any) -> None:
        self.python = python_of("freqtrade")
        self.folder = folder / "freqtrade"
        (self.folder / "user_data").mkdir(parents=True, exist_ok=True)
        config = (EXAMPLE / "config.json").read_text()
        assert ADDRESS in config
        (self.folder / "config.json").write_text(config.replace(ADDRESS, url))
        (self.folder / "more.json").write_text(json.dumps(settings))
        strategy = (EXAMPLE / "always_enter.py").read_text() + (RESTS if rests else "")
        (self.folder / "strategy").mkdir(exist_ok=True)
        (self.folder / "strategy" / "always_enter.py").write_text(strategy)
        self.strategy = "Rests" if rests else "AlwaysEnter"
        self.env = {
            "PATH": os.environ["PATH"],
            "HOME": str(self.folder),
            "FREQTRADE__EXCHANGE__KEY": key.key,
            "FREQTRADE__EXCHANGE__SECRET": key.secret,
        }
        self.log = self.folder / "log.txt"
        self.process: asyncio.subprocess.Process | None = None

    async def __aenter__(self) -> "Freqtrade":
        await self.start()
        return self

    async def __aexit__(self, *_: object) -> None:
        if self.running:
            await self.kill()

    @property
    def running(self) -> bool:
        return self.process is not None and self.process.returncode is None

    async def start(self) -> None:
        with self.log.open("ab") as log:
            self.process = await asyncio.create_subprocess_exec(
                str(self.python), "-m", "freqtrade", "trade",
                "--userdir", str(self.folder / "user_data"),
                "-c", str(self.folder / "config.json"), "-c", str(self.folder / "more.json"),
                "--strategy-path", str(self.folder / "strategy"), "--strategy", self.strategy,
                "--db-url", f"sqlite:///{self.folder / 'trades.sqlite'}",
                env=self.env, cwd=self.folder, stdin=asyncio.subprocess.DEVNULL, stdout=log, stderr=log,
                preexec_fn=_hear_sigint,
            )  # fmt: skip

    async def stop(self) -> None:
        """As with Ctrl+C."""
        assert self.process is not None
        self.process.send_signal(signal.SIGINT)
        await asyncio.wait_for(self.process.wait(), 30)
        assert "SIGINT received, aborting" in self.said

    async def kill(self) -> None:
        assert self.process is not None
        self.process.kill()
        await self.process.wait()

    @property
    def said(self) -> str:
        return self.log.read_text()

    def rows(self, question: str) -> list[dict[str, Any]]:
        """Of its own database, none while there is no such table yet."""
        path = self.folder / "trades.sqlite"
        if not path.exists():
            return []
        with closing(sqlite3.connect(f"file:{path}?mode=ro", uri=True)) as database:
            database.row_factory = sqlite3.Row
            try:
                return [dict(row) for row in database.execute(question)]
            except sqlite3.OperationalError:
                return []

    def trades(self, condition: str = "1") -> list[dict[str, Any]]:
        return self.rows(f"select * from trades where {condition} order by id")

    def orders(self, condition: str = "1") -> list[dict[str, Any]]:
        return self.rows(f"select * from orders where {condition} order by id")

    async def until(self, condition: Callable[[], Any], what: str, within_s: float = 60) -> Any:
        """Return what the condition says once it is true. The bot must go on meanwhile."""
        try:
            async with asyncio.timeout(within_s):
                while not (told := condition()):
                    assert self.running, self.said
                    await asyncio.sleep(0.1)
                return told
        except TimeoutError:
            raise AssertionError(f"waited {within_s} s in vain {what}: {self.said[-8000:]}") from None
