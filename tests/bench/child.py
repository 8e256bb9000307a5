"""`python -m tests.bench.child MODULE FUNCTION ARGUMENTS` prints what the function returns, as JSON: `in_child`."""

import importlib
import json
import sys


def main() -> None:
    module, function, arguments = sys.argv[1:]
    print(json.dumps(getattr(importlib.import_module(module), function)(**json.loads(arguments))), flush=True)


if __name__ == "__main__":
    main()
