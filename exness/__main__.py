"""`python -m exness`: hands over to the command line."""

import sys

from exness.cli import main

if __name__ == "__main__":
    sys.exit(main())
