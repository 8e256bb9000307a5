"""`python -m tests.bench.child MODULE FUNCTION ARGUMENTS` prints what the function returns, as JSON: `in_child`."""

import importlib
import json
import logging
import sys

import structlog


def main() -> None:
    module, function, arguments = sys.argv[1:]
    structlog.configure(wrapper_class=structlog.make_filtering_bound_logger(logging.ERROR))
    out, sys.stdout = sys.stdout, sys.stderr
    result = getattr(importlib.import_module(module), function)(**json.loads(arguments))
    print(json.dumps(result), file=out, flush=True)


if __name__ == "__main__":
    main()
