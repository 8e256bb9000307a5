"""Known vulnerabilities in what we install: pip-audit on the lock of the runtime.

Exit code 1 for a vulnerability. Where nothing could be looked up (no internet, a mirror that knows no vulnerabilities)
that is no failure, and the last line says in capitals that there was no audit.
"""

import json
import subprocess
import sys
from pathlib import Path

LOCK = Path(__file__).parent / "requirements.lock"
COMMAND = [sys.executable, "-m", "pip_audit", "--disable-pip", "--require-hashes", "--format", "json", "-r", str(LOCK)]
TIMEOUT_S = 300


def main() -> int:
    try:
        audit = subprocess.run(COMMAND, capture_output=True, text=True, check=False, timeout=TIMEOUT_S)
    except subprocess.TimeoutExpired:
        return not_done(f"no answer within {TIMEOUT_S} s")
    try:
        dependencies = json.loads(audit.stdout)["dependencies"]
    except (ValueError, KeyError, TypeError):
        return not_done((audit.stderr.strip().splitlines() or ["pip-audit gave no reason"])[-1])
    audited = [each for each in dependencies if "skip_reason" not in each]
    if not audited:
        return not_done(f"the database knows none of the {len(dependencies)} packages; is this a package mirror?")
    vulnerable = [each for each in audited if each["vulns"]]
    for each in vulnerable:
        for found in each["vulns"]:
            print(f"audit: {each['name']} {each['version']}: {found['id']}, fixed in {found['fix_versions']}")
    skipped = [each["name"] for each in dependencies if "skip_reason" in each]
    if skipped:
        print(f"audit: NOT LOOKED UP: {', '.join(skipped)}")
    print(f"audit: {len(audited)} of {len(dependencies)} packages looked up, {len(vulnerable)} with vulnerabilities")
    return 1 if vulnerable else 0


def not_done(reason: str) -> int:
    print(f"audit: NOT DONE, no package was looked up and vulnerabilities may be there: {reason}")
    return 0


if __name__ == "__main__":
    sys.exit(main())
