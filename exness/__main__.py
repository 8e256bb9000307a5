"""`python -m exness`: hands over to the command line."""

from exness.cli import main

if __name__ == "__main__":
    main()
