"""`make bench`: see docs/BENCHMARKS.md. `python -m tests.bench --help` lists what can be set."""

import sys

from tests.bench.run import main

if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
