"""`python -m tests.crash.small_archives archive`: exness with archives so small that every round has some to make."""

import sys

from exness.__main__ import main
from exness.storage import archiving

SMALL = {"FEWEST": 20, "RECORDS_PER_BLOCK": 20, "RECORDS_PER_PIECE": 300, "ROWS_AT_ONCE": 20}
vars(archiving).update(SMALL)

if __name__ == "__main__":
    sys.exit(main())
