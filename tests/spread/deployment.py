"""A whole spread-out exchange: each role a process of its own, started, killed and started again by name."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

from tests.spread.servers import settings
from tests.support.postgres import Postgres
from tests.support.process import Answer, Server
from tests.support.redis import PASSWORD, RedisServer
from tests.support.waiting import until


class Deployment:
    """Processes by name: a role, and a number where there are several of it."""

    def __init__(self, folder: Path, postgres: Postgres, redis: RedisServer, schema: str, **more: str) -> None:
        self._folder = folder
        self._env = settings(postgres, schema, EXNESS_DEPLOY_BUS=redis.url, **more)
        self.postgres = postgres
        self.redis = redis
        self.schema = schema
        self.processes: dict[str, Server] = {}

    def __getitem__(self, name: str) -> Server:
        return self.processes[name]

    def made(self, name: str) -> Server:
        """A process that is not started yet."""
        folder = self._folder / name
        folder.mkdir(exist_ok=True)
        env = self._env | {"EXNESS_DEPLOY_ROLE": name.rstrip("0123456789")}
        process = self.processes[name] = Server(folder / "data", env=env, cwd=folder)
        return process

    async def start(self, *names: str) -> None:
        for name in names:
            await self.made(name).__aenter__()

    async def restart(self, name: str) -> None:
        """Start one again that has ended."""
        await self[name].wait()
        self[name].output, self[name].errors = [], []
        await self[name].start()

    async def ready(self, name: str) -> None:
        await until(lambda: _is_ready(self[name]), within_s=60)

    async def end(self) -> None:
        for process in self.processes.values():
            await process.__aexit__(None, None, None)

    def silent_of_secrets(self) -> bool:
        said = "\n".join(line for each in self.processes.values() for line in (*each.output, *each.errors))
        return not any(secret in said for secret in ("quite-secret", PASSWORD, self._env["EXNESS_AUTH_SECRET"]))


async def _is_ready(process: Server) -> bool:
    answer: Answer = await process.get("/readyz")
    return answer.status == 200


@asynccontextmanager
async def deployed(
    folder: Path, postgres: Postgres, redis: RedisServer, schema: str, *names: str, **more: str
) -> AsyncIterator[Deployment]:
    """With these processes, all of them ready."""
    deployment = Deployment(folder, postgres, redis, schema, **more)
    try:
        await deployment.start(*names)
        for name in names:
            await deployment.ready(name)
        yield deployment
    finally:
        await deployment.end()
