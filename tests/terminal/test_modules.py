"""web/terminal/static: the modules by themselves, in Node, and their types and imports.

Node is the machine's own or the one in Playwright's wheel; Deno is a wheel. Neither fetches anything.
"""

import json
import os
import random
import re
import shutil
import subprocess
from functools import cache
from importlib.util import find_spec
from pathlib import Path

import pytest

from exness.core.instruments import Side
from exness.core.line import liquidation_price, pnl, trade_line
from exness.core.margin import percent_of_margin
from exness.web.terminal.files import CHART, STATIC, files

ROOT = Path(__file__).resolve().parents[2]
JS = Path(__file__).parent / "js"
CASES = 600
OLDEST_NODE = 20


@cache
def find_node() -> str | None:
    """A Node that is new enough."""
    found = [shutil.which("node"), *map(str, _in_wheel("playwright", "driver/node"))]
    return next((each for each in found if each is not None and _version(each) >= OLDEST_NODE), None)


def _in_wheel(package: str, path: str) -> list[Path]:
    spec = find_spec(package)
    if spec is None or spec.origin is None:
        return []
    return [each for each in [Path(spec.origin).parent / path] if each.is_file()]


def _version(node: str) -> int:
    try:
        told = subprocess.run([node, "--version"], capture_output=True, text=True, check=True).stdout
    except (OSError, subprocess.CalledProcessError):
        return 0
    return int(told.strip().removeprefix("v").partition(".")[0])


def find_deno() -> str | None:
    if find_spec("deno") is None:
        return None
    from deno import find_deno_bin

    return str(find_deno_bin())


def vectors() -> list[dict[str, object]]:
    """Trades at prices, as the core reckons them. Integers as text: they pass what a double holds."""
    draw = random.Random(14)
    cases: list[dict[str, object]] = []
    for number in range(CASES):
        side = draw.choice(list(Side))
        margin, leverage = draw.randint(1, 10 ** draw.randint(1, 15)), draw.randint(100, 10_000)
        entry = draw.randint(1, 10 ** draw.randint(1, 12))
        line = trade_line(side, margin, leverage, entry)
        liquidation = liquidation_price(line)
        near = [entry, liquidation + draw.randint(-2, 2), entry * draw.randint(1, 300) // 100, draw.randint(1, 10**12)]
        at = max(1, near[number % len(near)])
        gained = pnl(line, at)
        size = margin * leverage
        figures = {
            "margin": margin,
            "leverage": leverage,
            "entry": entry,
            "at": at,
            "pnl": gained,
            "percent": percent_of_margin(gained, margin),
        }
        shown = {"size": str(size), "cost": str(size * entry), "unit": str(100 * entry)}
        cases.append({"side": side.value, "line": shown, **{name: str(value) for name, value in figures.items()}})
    return cases


@pytest.mark.slow
def test_the_units_of_the_modules_pass_in_node(tmp_path: Path) -> None:
    node = find_node()
    if node is None:
        pytest.skip(f"no Node {OLDEST_NODE} or newer is here, and Playwright's wheel, which has one, is not installed")
    shutil.copytree(STATIC, tmp_path / STATIC.relative_to(ROOT))
    shutil.copytree(JS, tmp_path / JS.relative_to(ROOT))
    (tmp_path / "package.json").write_text('{"type": "module"}')
    (tmp_path / "vectors.json").write_text(json.dumps(vectors()))
    tests = sorted(map(str, (tmp_path / JS.relative_to(ROOT)).glob("*.test.js")))
    done = subprocess.run(
        [node, "--test", *tests],
        capture_output=True,
        text=True,
        cwd=tmp_path,
        env={"PATH": os.environ["PATH"], "VECTORS": str(tmp_path / "vectors.json")},
        check=False,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    assert int(re.findall(r"^\S* ?pass (\d+)$", done.stdout, re.MULTILINE)[-1]) > 30


@pytest.mark.slow
@pytest.mark.parametrize("command", ["check", "lint"])
def test_the_types_of_the_modules_hold_and_nothing_in_them_is_unused(command: str, tmp_path: Path) -> None:
    deno = find_deno()
    if deno is None:
        pytest.skip("Deno's wheel is not installed")
    config = Path(__file__).parent / "deno.json"
    done = subprocess.run(
        [deno, command, "--config", str(config), *sorted(map(str, STATIC.glob("*.js")))],
        capture_output=True,
        text=True,
        env={"PATH": os.environ["PATH"], "DENO_DIR": str(tmp_path), "NO_COLOR": "1", "DENO_NO_UPDATE_CHECK": "1"},
        check=False,
    )
    assert done.returncode == 0, done.stderr


IMPORT = re.compile(r'^import .* from "\./(.+)";$', re.MULTILINE)
PURE = {
    "frames.js",
    "money.js",
    "store.js",
    "stream.js",
    "figures.js",
    "presets.js",
    "recorder.js",
    "api.js",
    "waiting.js",
}
"""What knows no page: it runs anywhere."""


def test_modules_import_one_another_only_and_what_knows_no_page_imports_nothing_that_does() -> None:
    texts = {name: (STATIC / name).read_text(encoding="utf-8") for name in files().modules}
    imported = {name: set(IMPORT.findall(text)) for name, text in texts.items()}
    assert set().union(*imported.values()) <= texts.keys()
    assert len(re.findall(r"^import .*;$", "\n".join(texts.values()), re.MULTILINE)) == sum(map(len, imported.values()))
    assert not any("main.js" in each for each in imported.values())
    for name in PURE:
        assert imported[name] <= PURE, name
        assert not re.search(r"\b(document|localStorage|window)\b\.", texts[name]), name
    assert [name for name, text in texts.items() if "LightweightCharts" in text] == ["chart.js"]


def test_no_module_reads_html_or_text_as_code() -> None:
    for name in files().modules:
        text = (STATIC / name).read_text(encoding="utf-8")
        assert not re.search(r"innerHTML|outerHTML|insertAdjacentHTML|document\.write|\beval\b|new Function", text), (
            name
        )
        assert not re.search(r"https?://", text), f"{name} names another host"


def test_no_file_of_ours_is_longer_than_a_page_of_code_and_all_together_are_small() -> None:
    sizes = {name: body.count(b"\n") for name, body in files().by_name.items() if name != CHART}
    assert [name for name, lines in sizes.items() if lines > 400] == []
    assert sum(len(body) for name, body in files().by_name.items() if name != CHART) < 250_000
