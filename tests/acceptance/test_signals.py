"""SIGTERM and SIGINT at every point of a start, in every command, and as process 1 of a container."""

import asyncio
import contextlib
import os
import shutil
import signal
import subprocess
import sys
from collections.abc import AsyncIterator, Callable, Iterator
from functools import partial
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest
from structlog.testing import capture_logs

from exness.app import databases, entry, life, start
from exness.config import load
from exness.process.signals import Interrupted, Stop
from exness.runtime.ports.journal import StorageError
from exness.storage import backup as backups
from exness.storage import takeover
from exness.storage.backup import backup, restore
from exness.storage.datadir import locked
from exness.storage.files import JOURNAL_DB
from tests.storage.damage import contents, make_directory
from tests.support.process import ROOT
from tests.support.waiting import until_blocking

SIGNALS = [signal.SIGTERM, signal.SIGINT]
AT_ONCE_S = 5.0
"""On an idle machine it takes 50 ms."""
WAIT_S = 60.0

UNSHARE = ["unshare", "--fork", "--pid", "--mount-proc", "--kill-child"]


def can_unshare() -> bool:
    if shutil.which("unshare") is None:
        return False
    return subprocess.run([*UNSHARE, "true"], capture_output=True).returncode == 0


needs_a_container = pytest.mark.skipif(not can_unshare(), reason="no PID namespace can be made here")


@contextlib.contextmanager
def running(
    *arguments: str, cwd: Path, path: Path | None = None, before: list[str] | None = None
) -> Iterator["subprocess.Popen[str]"]:
    """`python -m exness ...`. `path` comes first where modules are looked for."""
    process = subprocess.Popen(
        [*(before or []), sys.executable, "-m", "exness", *arguments],
        env={"PATH": os.environ["PATH"], "PYTHONPATH": os.pathsep.join(map(str, filter(None, (path, ROOT))))},
        cwd=cwd,
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )
    try:
        yield process
    finally:
        process.kill()
        process.communicate()


def soon(condition: Callable[[], object], process: "subprocess.Popen[str]") -> None:
    """Until it holds; the process must not end before."""

    def holds() -> object:
        assert process.poll() is None, process.communicate()
        return condition()

    until_blocking(holds, within_s=WAIT_S)


def ended(process: "subprocess.Popen[str]", number: signal.Signals, pid: int | None = None) -> tuple[int, str, str]:
    """Exit code and what it said, after the signal."""
    os.kill(pid or process.pid, number)
    output, errors = process.communicate(timeout=AT_ONCE_S)
    return process.returncode, output, errors


def has_open(pid: int, file: Path) -> bool:
    with contextlib.suppress(FileNotFoundError):
        return any(handle.readlink() == file for handle in Path(f"/proc/{pid}/fd").iterdir())
    return False


@pytest.fixture(scope="module")
def endless(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A recording that takes far longer to be checked than a signal takes to be heard."""
    recording = tmp_path_factory.mktemp("recorded") / "candles1m_SOL_1.csv"
    rows = (f"{1_722_816_000 + 60 * minute},150,151,149,150,1\n" for minute in range(600_000))
    recording.write_text("timestamp_s,open,high,low,close,volume\n" + "".join(rows))
    return recording


@pytest.mark.parametrize("number", SIGNALS, ids=lambda each: each.name)
def test_a_signal_while_a_recording_is_checked_ends_it_in_order(
    tmp_path: Path, endless: Path, number: signal.Signals
) -> None:
    data = tmp_path / "data"
    with running("serve", "--port", "0", "--data-dir", str(data), "--replay", str(endless), cwd=tmp_path) as process:
        soon(lambda: has_open(process.pid, endless), process)
        code, output, errors = ended(process, number)
    assert (code, output) == (0, ""), errors
    assert "stopped before it was open" in errors
    assert len(errors.splitlines()) == 1
    assert [path.name for path in data.iterdir()] == ["lock"]
    with locked(data):
        pass


@needs_a_container
@pytest.mark.parametrize("number", SIGNALS, ids=lambda each: each.name)
def test_process_1_of_a_container_hears_a_signal_before_it_serves(
    tmp_path: Path, endless: Path, number: signal.Signals
) -> None:
    data = tmp_path / "data"
    arguments = ("serve", "--port", "0", "--data-dir", str(data), "--replay", str(endless))
    with running(*arguments, cwd=tmp_path, before=UNSHARE) as process:
        soon(lambda: any(has_open(child, endless) for child in children_of(process.pid)), process)
        code, output, errors = ended(process, number, *children_of(process.pid))
    assert (code, output) == (0, ""), errors
    assert "stopped before it was open" in errors


@needs_a_container
@pytest.mark.parametrize("number", SIGNALS, ids=lambda each: each.name)
def test_process_1_of_a_container_hears_a_signal_while_it_serves(tmp_path: Path, number: signal.Signals) -> None:
    arguments = ("serve", "--port", "0", "--data-dir", str(tmp_path / "data"))
    with running(*arguments, cwd=tmp_path, before=UNSHARE) as process:
        assert process.stdout is not None
        assert any(line.startswith("listening on") for line in iter(process.stdout.readline, ""))
        code, _, errors = ended(process, number, *children_of(process.pid))
    assert code == 0, errors
    assert "stopped " in errors.splitlines()[-1]


def children_of(pid: int) -> list[int]:
    return [int(child) for child in Path(f"/proc/{pid}/task/{pid}/children").read_text().split()]


def test_a_venue_that_checks_its_recording_ends_in_order_too(tmp_path: Path, endless: Path) -> None:
    with running("venue", "--port", "0", "--replay", str(endless), cwd=tmp_path) as process:
        soon(lambda: has_open(process.pid, endless), process)
        code, output, errors = ended(process, signal.SIGTERM)
    assert (code, output) == (0, ""), errors


def test_a_venue_ends_in_order(tmp_path: Path) -> None:
    with running("venue", "--port", "0", cwd=tmp_path) as process:
        assert process.stdout is not None
        assert any(line.startswith("listening on") for line in iter(process.stdout.readline, ""))
        assert ended(process, signal.SIGINT) == (0, "", "")


@pytest.mark.parametrize("number", SIGNALS, ids=lambda each: each.name)
@pytest.mark.parametrize("module", ["msgspec", "structlog", "aiohttp", "uvloop"])
def test_a_signal_while_it_is_loaded_ends_it_in_order(tmp_path: Path, module: str, number: signal.Signals) -> None:
    """Whatever module it comes to, from the first of other people on."""
    with held_import(tmp_path, module) as (path, is_reached):
        arguments = ("serve", "--port", "0", "--data-dir", str(tmp_path / "data"))
        with running(*arguments, cwd=tmp_path, path=path) as process:
            soon(is_reached, process)
            assert ended(process, number) == (0, "", "exness: stopped before it was open\n")
    assert not (tmp_path / "data").exists()


@pytest.mark.parametrize(("number", "code"), [(signal.SIGTERM, 143), (signal.SIGINT, 130)])
@pytest.mark.parametrize(
    ("arguments", "module"),
    [
        (["version"], "msgspec"),
        (["token", "ann@example.com"], "aiohttp"),
        (["token", "--revoke", "ann@example.com"], "aiosqlite"),
        (["verify"], "tqdm"),
        (["backup", "copy.db"], "tqdm"),
    ],
    ids=lambda each: " ".join(each) if isinstance(each, list) else "",
)
def test_any_other_command_is_interrupted_without_a_trace(
    tmp_path: Path, arguments: list[str], module: str, number: signal.Signals, code: int
) -> None:
    asyncio.run(make_directory(tmp_path / "data", [], []))
    before = contents(tmp_path / "data")
    with held_import(tmp_path, module) as (path, is_reached), running(*arguments, cwd=tmp_path, path=path) as process:
        soon(is_reached, process)
        assert ended(process, number) == (code, "", "exness: interrupted\n")
    assert contents(tmp_path / "data") == before
    assert not (tmp_path / "copy.db").exists()


@contextlib.contextmanager
def held_import(folder: Path, module: str) -> Iterator[tuple[Path, Callable[[], bool]]]:
    """A folder with a module of this name that takes a minute to load, and whether that has begun."""
    path, reached = folder / "modules", folder / "reached"
    path.mkdir()
    (path / f"{module}.py").write_text(
        f"import pathlib, time\npathlib.Path({str(reached)!r}).touch()\nfor _ in range(6000):\n    time.sleep(0.01)\n"
    )
    yield path, reached.exists


def test_a_second_signal_ends_a_command_that_cleans_up_at_once(tmp_path: Path) -> None:
    script = tmp_path / "script.py"
    script.write_text(
        "import sys, time\nfrom exness.process.signals import Stop\nstop = Stop()\nstop.take()\n"
        "try:\n    print('ready', flush=True)\n    time.sleep(60)\n"
        "finally:\n    print('cleaning', flush=True)\n    time.sleep(60)\n"
    )
    process = subprocess.Popen(
        [sys.executable, script],
        env={"PYTHONPATH": str(ROOT)},
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )
    try:
        assert process.stdout is not None
        assert process.stdout.readline() == "ready\n"
        process.send_signal(signal.SIGINT)
        assert process.stdout.readline() == "cleaning\n"
        process.send_signal(signal.SIGTERM)
        assert process.wait(AT_ONCE_S) == 1
    finally:
        process.kill()
        process.communicate()


# --- within a start ---------------------------------------------------------------------------------------------------


@pytest.fixture
def stop() -> Iterator[Stop]:
    """Signals of this process are taken."""
    before = {number: signal.getsignal(number) for number in SIGNALS}
    stop = Stop()
    stop.take()
    yield stop
    for number, handler in before.items():
        signal.signal(number, handler)


OPENING = ["open_auth", "_open_files", "open_storage"]
STEPS = ["recover", *OPENING, "open_databases", "forget_before_reset", "_first_prices"]


@pytest.mark.parametrize("number", SIGNALS, ids=lambda each: each.name)
@pytest.mark.parametrize("step", STEPS)
async def test_a_signal_at_any_step_of_the_start_closes_what_is_open(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, stop: Stop, step: str, number: signal.Signals
) -> None:
    """The step takes for ever: only a cancelled one ends."""
    reached, lines = asyncio.Event(), list[str]()

    async def takes_for_ever(*arguments: Any, **options: Any) -> None:
        reached.set()
        await asyncio.Event().wait()

    @contextlib.asynccontextmanager
    async def opens_for_ever(*arguments: Any, **options: Any) -> AsyncIterator[None]:
        await takes_for_ever()
        yield

    if step == "_first_prices":  # it looks at the signal itself
        real = life._first_prices

        async def first_prices(source: Any, exchange: Any, stopping: asyncio.Event) -> None:
            reached.set()
            await stopping.wait()
            await real(source, exchange, stopping)

        monkeypatch.setattr(life, step, first_prices)
    else:
        place = databases if step in OPENING else start
        opens = step in ("open_auth", "open_storage")
        monkeypatch.setattr(place, step, opens_for_ever if opens else takes_for_ever)
    config = load(None, {}, {"storage.data_dir": tmp_path / "data", "server.port": 0})
    with capture_logs() as logs:
        serving = asyncio.create_task(entry.serve(config, lines.append, stop))
        await reached.wait()
        with pytest.raises(StorageError, match="in use"), locked(tmp_path / "data"):
            pass
        os.kill(os.getpid(), number)
        async with asyncio.timeout(WAIT_S):
            await serving
    assert lines == [], "nothing says that it listens"
    assert logs[-1]["event"] in ("stopped before it was open", "stopped")
    with locked(tmp_path / "data"):
        pass
    assert asyncio.all_tasks() == {asyncio.current_task()}


async def test_a_signal_that_came_before_the_loop_is_heard_by_it(tmp_path: Path, stop: Stop) -> None:
    with pytest.raises(Interrupted):
        os.kill(os.getpid(), signal.SIGTERM)
    config = load(None, {}, {"storage.data_dir": tmp_path / "data", "server.port": 0})
    with capture_logs() as logs:
        await entry.serve(config, lambda line: None, stop)
    assert [line["event"] for line in logs] == ["stopped before it was open"]
    assert not (tmp_path / "data").exists()


@pytest.mark.parametrize(
    ("module", "at"),
    [(backups, "_copy"), (backups, "_add_candles"), (backups, "flush"), (takeover, "_finish"), (takeover, "flush")],
)
def test_an_interrupted_backup_or_restore_leaves_nothing_behind(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, module: ModuleType, at: str
) -> None:
    asyncio.run(make_directory(tmp_path / "data", [], []))
    backup(tmp_path / "data", tmp_path / "kept.db", lambda done, total: None)
    real = getattr(module, at)

    def interrupted(*arguments: Any) -> None:
        real(*arguments)
        raise Interrupted(signal.SIGINT)

    monkeypatch.setattr(module, at, interrupted)
    into = tmp_path / ("copy.db" if module is backups else "other")
    command = (
        partial(backup, tmp_path / "data", into, lambda done, total: None)
        if module is backups
        else partial(restore, tmp_path / "kept.db", into)
    )
    with pytest.raises(Interrupted):
        command()
    left = ["data", "kept.db"] if module is backups else ["data", "kept.db", "other"]
    assert sorted(path.name for path in tmp_path.iterdir()) == left
    if module is takeover:
        assert [path.name for path in (tmp_path / "other").iterdir()] == ["lock"]
    monkeypatch.undo()
    restore(tmp_path / "kept.db", tmp_path / "other")
    assert (tmp_path / "other" / JOURNAL_DB).exists()
