"""`python -m tests.simulation`: see `campaign`. On its own, as spawned processes can't import a `__main__`."""

import sys

from tests.simulation.campaign import main

if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
