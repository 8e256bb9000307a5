"""Tries the installed wheel as a user meets it: `try_wheel.py CONFIG_TOML`, run by the environment it is installed in.

In an empty folder `exness config` prints the commented defaults and `exness serve` comes up ready with all that it
hands out; it stops when it is told to. The last line says how long the first start took, from the command to the
answer of /readyz.
"""

import contextlib
import os
import re
import signal
import subprocess
import sys
import tempfile
import time
import urllib.error
import urllib.parse
import urllib.request
from importlib import resources
from pathlib import Path

EXNESS = str(Path(sys.executable).with_name("exness"))
READY_WITHIN_S = 60
PAGES = ("/", "/docs", "/openapi.json", "/healthz", "/api/v1/supportedAssets")
PAUSE_S = 0.005


def main(config_toml: Path) -> None:
    package = resources.files("exness")
    assert not Path(str(package)).is_relative_to(config_toml.parent), f"{package} is the clone, not the wheel"
    assert (package / "py.typed").is_file(), "py.typed is missing"
    with tempfile.TemporaryDirectory() as folder:
        environment = {"PATH": os.environ["PATH"], "HOME": folder}

        def said(*command: str) -> str:
            return subprocess.run(
                [EXNESS, *command], cwd=folder, env=environment, check=True, capture_output=True, text=True
            ).stdout

        assert said("config", "--defaults") == config_toml.read_text(encoding="utf-8"), "config.toml is another"
        assert said("config").startswith("#"), "`exness config` explains nothing"
        assert re.fullmatch(r"exness \d+\.\d+\.\d+\S*\n", said("version"))
        serve(Path(folder), environment)


def serve(folder: Path, environment: dict[str, str]) -> None:
    started = time.monotonic()
    with subprocess.Popen(
        [EXNESS, "serve", "--port", "0"], cwd=folder, env=environment, stdout=subprocess.PIPE, text=True
    ) as process:
        try:
            assert process.stdout is not None
            url = next(line.split()[2] for line in process.stdout if line.startswith("listening on "))
            ready(url, started + READY_WITHIN_S)
            seconds = time.monotonic() - started
            for page in PAGES:
                assert urllib.request.urlopen(url + page).status == 200, page
            root = urllib.request.urlopen(url).read().decode()
            files = re.findall(r'(?:src|href)="([^"#]+\.(?:js|css|svg))"', root)
            assert files, "the page has no scripts"
            for file in files:
                assert urllib.request.urlopen(urllib.parse.urljoin(url + "/", file)).status == 200, file
            process.send_signal(signal.SIGTERM)
            assert process.wait(timeout=READY_WITHIN_S) == 0, "it did not stop in order"
        finally:
            if process.poll() is None:
                process.kill()
    print(f"the wheel is good: `exness serve` was ready after {seconds:.2f} s")


def ready(url: str, deadline: float) -> None:
    while time.monotonic() < deadline:
        with contextlib.suppress(urllib.error.HTTPError):
            if urllib.request.urlopen(f"{url}/readyz").status == 200:
                return
        time.sleep(PAUSE_S)
    raise AssertionError(f"{url} was not ready in {READY_WITHIN_S} s")


if __name__ == "__main__":
    main(Path(sys.argv[1]))
