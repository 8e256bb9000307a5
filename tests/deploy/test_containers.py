"""Containerfile, compose files and units: what they install runs for another user, on one volume, as they say."""

import json
import os
import re
import shlex
import shutil
import signal
import subprocess
import time
import urllib.request
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

import pytest

from exness.config import load
from tests.support.process import ROOT

OTHER = 10001
PYTHON = Path("/usr/bin/python3")
"""One that another user may run, too."""
INSTALLS_WITHIN_S = 280
PLACES = ("/src", "/opt/exness", "/data")


class Instruction(NamedTuple):
    word: str
    rest: str


def instructions() -> Iterator[Instruction]:
    for line in (ROOT / "Containerfile").read_text().splitlines():
        if line and not line.startswith("#"):
            yield Instruction(*line.split(" ", 1))


def of(word: str) -> list[str]:
    return [each.rest for each in instructions() if each.word == word]


def test_nobody_in_the_container_is_root_and_process_1_is_the_exchange() -> None:
    words = [each.word for each in instructions()]
    assert of("USER") == ["10001:10001"]
    assert words.index("USER") < words.index("ENTRYPOINT")
    assert [json.loads(rest) for rest in (*of("ENTRYPOINT"), *of("CMD"))] == [["/opt/exness/bin/exness"], ["serve"]]
    assert of("STOPSIGNAL") == ["SIGTERM"]
    assert of("VOLUME") == ["/data"]


def test_what_is_copied_is_there_and_not_ignored() -> None:
    ignored = (ROOT / ".containerignore").read_text()
    assert ignored == (ROOT / ".dockerignore").read_text(), "two names of one file"
    for rest in of("COPY"):
        if not rest.startswith("--from"):
            for source in rest.split()[:-1]:
                assert (ROOT / source).exists(), source
                assert f"!{source}" in ignored.splitlines(), source


def test_its_settings_are_settings() -> None:
    (given,) = of("ENV")
    environment = dict(each.split("=", 1) for each in shlex.split(given))
    compose = (ROOT / "compose.yaml").read_text()
    unit = (ROOT / "deploy" / "exness.service").read_text()
    environment |= dict(re.findall(r"^Environment=(\w+)=(.*)$", unit, re.MULTILINE))
    environment |= dict.fromkeys(re.findall(r"(EXNESS_\w+): \"true\"", compose), "true")
    environment |= {"EXNESS_SERVER_PUBLIC_URL": "https://trade.example.com/exness"}
    ignored: list[str] = []
    config = load(None, environment, {}, ignored.append)
    assert ignored == []
    assert (config.server.production, config.log.format) == (True, "json")


def test_the_parts_of_a_spread_out_exchange_are_configured_alike() -> None:
    compose = (ROOT / "compose.spread.yaml").read_text()
    unit = (ROOT / "deploy" / "exness@.service").read_text()
    roles = re.findall(r"EXNESS_DEPLOY_ROLE: (\w+)", compose)
    assert roles == ["engine", "engine", "processor", "poller", "server", "server"]
    environment = dict(re.findall(r"^    (EXNESS_\w+): (.*)$", compose, re.MULTILINE))
    environment = {name: re.sub(r"\$\{\w+:\?[^}]*\}", "s" * 40, value) for name, value in environment.items()}
    environment |= dict(re.findall(r"^Environment=(\w+)=(.*)$", unit, re.MULTILINE))
    for role in roles:
        ignored: list[str] = []
        config = load(None, environment | {"EXNESS_DEPLOY_ROLE": role}, {}, ignored.append)
        assert (ignored, config.deploy.role) == ([], role)
    locks = re.findall(r"LOCK: ([\w.-]+)", compose)
    assert locks == ["requirements-spread.lock"]
    locked = (ROOT / ".ci" / locks[0]).read_text()
    for line in (ROOT / ".ci" / "requirements.lock").read_text().splitlines():
        assert line.startswith("#") or line in locked, line
    for name in ("asyncpg==", "redis==", "hiredis=="):
        assert name in locked
    for line in ("read_only: true", "cap_drop: [ALL]", 'user: "10001:10001"'):
        assert line in compose, line
    assert all(port.startswith("127.0.0.1:") for port in re.findall(r'ports: \["([^"]+)"', compose))


def test_compose_keeps_the_root_read_only_and_has_one_volume() -> None:
    compose = (ROOT / "compose.yaml").read_text()
    for line in ("read_only: true", 'volumes: ["data:/data"]', "cap_drop: [ALL]", 'user: "10001:10001"'):
        assert line in compose, line
    assert '"127.0.0.1:8002:8002"' in compose, "it is a proxy that others reach"


@pytest.mark.skipif(shutil.which("systemd-analyze") is None, reason="systemd-analyze is not installed here")
def test_systemd_has_nothing_to_say_of_the_unit(tmp_path: Path) -> None:
    unit = (ROOT / "deploy" / "exness.service").read_text().replace("/opt/exness/bin/exness", "/bin/true")
    (tmp_path / "exness.service").write_text(unit)
    done = subprocess.run(
        ["systemd-analyze", "verify", str(tmp_path / "exness.service")], capture_output=True, text=True, check=False
    )
    assert [line for line in done.stderr.splitlines() if "exness.service" in line] == []


@pytest.mark.slow
@pytest.mark.timeout(400)
@pytest.mark.skipif(os.geteuid() != 0, reason="only root can run something as another user")
@pytest.mark.skipif(
    subprocess.run([PYTHON, "-c", "import venv, ensurepip"], capture_output=True, check=False).returncode != 0,
    reason=f"{PYTHON} is not here, or without venv (apt-get install python3-venv)",
)
def test_the_steps_run_in_an_empty_folder_as_another_user_and_the_exchange_is_healthy() -> None:
    """Each COPY and RUN, with the container's places below a folder; then process, health check and stop."""
    root = Path(f"/var/tmp/exness-container-{os.getpid()}")
    root.mkdir(mode=0o755)
    try:
        inside = {"HOME": str(root), "PATH": "/usr/bin:/bin"}
        for place in PLACES:
            (root / place.lstrip("/")).parent.mkdir(parents=True, exist_ok=True)
        (root / "src").mkdir()
        run_steps(root, inside)
        serve(root, inside)
    finally:
        shutil.rmtree(root)


def placed(text: str, root: Path) -> str:
    """The container's places, below the folder."""
    return re.sub(r"(?<![\w.])(/src|/opt/exness|/data)(?=[/\s\"]|$)", lambda place: f"{root}{place[0]}", text)


def run_steps(root: Path, inside: dict[str, str]) -> None:
    defaults = dict(rest.split("=", 1) for rest in of("ARG"))
    for word, rest in instructions():
        if word == "COPY" and not rest.startswith("--from"):
            *sources, to = rest.split()
            for source in sources:
                subprocess.run(["cp", "-r", str(ROOT / source), str(root / "src" / to)], check=True)
            subprocess.run(["chown", "-R", f"{OTHER}:{OTHER}", str(root)], check=True)
        elif word == "RUN":
            by = 0 if "chown" in rest else OTHER
            done = subprocess.run(
                ["/bin/sh", "-ec", placed(rest, root)],
                cwd=root / "src",
                env=inside | defaults | {key: value for key, value in os.environ.items() if key.startswith("PIP_")},
                user=by,
                group=by,
                extra_groups=[],
                capture_output=True,
                text=True,
                timeout=INSTALLS_WITHIN_S,
                check=False,
            )
            assert done.returncode == 0, f"{rest}\n{done.stderr}"


def serve(root: Path, inside: dict[str, str]) -> None:
    (given,) = of("ENV")
    environment = dict(
        each.split("=", 1) for each in shlex.split(placed(given.replace("=", "= "), root).replace("= ", "="))
    )
    environment |= {
        "EXNESS_SERVER_HOST": "127.0.0.1",
        "EXNESS_SERVER_PORT": "0",
        "EXNESS_STORAGE_DATA_DIR": f"{root}/data",
    }
    command = [each for rest in (*of("ENTRYPOINT"), *of("CMD")) for each in json.loads(placed(rest, root))]
    with subprocess.Popen(
        command, cwd=root / "data", env=inside | environment, user=OTHER, group=OTHER, extra_groups=[],
        stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True,
    ) as process:  # fmt: skip
        try:
            assert process.stdout is not None
            url = next(line.split()[2] for line in process.stdout if line.startswith("listening on "))
            check(root, url)
            assert urllib.request.urlopen(f"{url}/").status == 200
            process.send_signal(signal.SIGTERM)
            assert process.wait(timeout=30) == 0
        finally:
            if process.poll() is None:
                process.kill()
    assert {path.stat().st_uid for path in (root / "data").iterdir()} == {OTHER}
    assert not any((root / "data" / "secret").stat().st_mode & bits for bits in (0o077,))


def check(root: Path, url: str) -> None:
    """The health check passes on a server, and fails where there is none."""
    (rest,) = of("HEALTHCHECK")
    command = json.loads(placed(rest[rest.index("CMD ") + 4 :], root))
    deadline = time.monotonic() + 20
    found = [each.replace("http://127.0.0.1:8002", url) for each in command]
    while subprocess.run(found, check=False, capture_output=True).returncode != 0:
        assert time.monotonic() < deadline, "it is not healthy"
    nowhere = [each.replace("http://127.0.0.1:8002", "http://127.0.0.1:1") for each in command]
    assert subprocess.run(nowhere, check=False, capture_output=True).returncode != 0
