"""Known vulnerabilities in what we install: pip-audit on the lock of the runtime.

Exit code 1 for a vulnerability. Where the database can't be reached nothing was audited: that is said, and no failure.
"""

import json
import subprocess
import sys
from pathlib import Path

LOCK = Path(__file__).parent / "requirements.lock"
COMMAND = [sys.executable, "-m", "pip_audit", "--disable-pip", "--require-hashes", "--format", "json", "-r", str(LOCK)]


def main() -> int:
    audit = subprocess.run(COMMAND, capture_output=True, text=True, check=False)
    try:
        dependencies = json.loads(audit.stdout)["dependencies"]
    except (ValueError, KeyError):
        print(f"audit: not done, the database can't be reached: {audit.stderr.strip().splitlines()[-1:]}")
        return 0
    audited = [each for each in dependencies if "skip_reason" not in each]
    if not audited:
        print(f"audit: not done, the database knows none of {len(dependencies)} packages: is this a package mirror?")
        return 0
    vulnerable = [each for each in audited if each["vulns"]]
    for each in vulnerable:
        for found in each["vulns"]:
            print(f"audit: {each['name']} {each['version']}: {found['id']}, fixed in {found['fix_versions']}")
    print(f"audit: {len(audited)} of {len(dependencies)} packages looked up, {len(vulnerable)} with vulnerabilities")
    return 1 if vulnerable else 0


if __name__ == "__main__":
    sys.exit(main())
