""".ci/audit.py: what its last line says of an audit, and of none."""

import importlib.util
import json
import subprocess
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest

SCRIPT = Path(__file__).parent.parent / ".ci" / "audit.py"
NOT_DONE = "audit: NOT DONE, no package was looked up and vulnerabilities may be there: "
GOOD = {"name": "aiohttp", "version": "3.14", "vulns": []}
BAD = {"name": "idna", "version": "1", "vulns": [{"id": "CVE-1", "fix_versions": ["2"]}]}
SKIPPED = {"name": "msgspec", "skip_reason": "not found"}


@pytest.fixture(name="audit")
def loaded() -> ModuleType:
    spec = importlib.util.spec_from_file_location("audit", SCRIPT)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


@pytest.mark.parametrize(
    ("output", "errors", "code", "last_line"),
    [
        ("", "Trace\nConnectionError: no route to pypi.org", 0, NOT_DONE + "ConnectionError: no route to pypi.org"),
        ("", "", 0, NOT_DONE + "pip-audit gave no reason"),
        ("[]", "odd", 0, NOT_DONE + "odd"),
        (
            [SKIPPED, SKIPPED],
            "",
            0,
            NOT_DONE + "the database knows none of the 2 packages; is this a package mirror?",
        ),
        ([GOOD], "", 0, "audit: 1 of 1 packages looked up, 0 with vulnerabilities"),
        ([GOOD, SKIPPED], "", 0, "audit: 1 of 2 packages looked up, 0 with vulnerabilities"),
        ([GOOD, BAD], "", 1, "audit: 2 of 2 packages looked up, 1 with vulnerabilities"),
    ],
)
def test_the_last_line_says_what_was_audited(
    audit: ModuleType,
    output: Any,
    errors: str,
    code: int,
    last_line: str,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    stdout = output if isinstance(output, str) else json.dumps({"dependencies": output})
    done = subprocess.CompletedProcess(audit.COMMAND, 1, stdout, errors)
    monkeypatch.setattr(subprocess, "run", lambda *_, **__: done)
    assert audit.main() == code
    said = capsys.readouterr()
    assert said.out.splitlines()[-1] == last_line
    assert ("audit: NOT LOOKED UP: msgspec" in said.out) == (output == [GOOD, SKIPPED])
    assert ("CVE-1" in said.out) == (code == 1)
    assert said.err == ""


def test_a_database_that_does_not_answer_is_no_audit(
    audit: ModuleType, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    def silent(command: list[str], *, timeout: float, **_: Any) -> None:
        raise subprocess.TimeoutExpired(command, timeout)

    monkeypatch.setattr(subprocess, "run", silent)
    assert audit.main() == 0
    assert capsys.readouterr().out == NOT_DONE + "no answer within 300 s\n"


def test_the_audit_is_the_last_thing_that_ci_runs() -> None:
    assert (SCRIPT.parent / "run").read_text().splitlines()[-1] == "make audit"
