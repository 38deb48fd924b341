"""Runs every benchmark, or those named on the command line."""

from __future__ import annotations

import importlib
import pkgutil
import sys
from pathlib import Path


def main(names: list[str]) -> None:
    """Run the benchmarks called `names`; all of them if none is named."""
    found = [module.name for module in pkgutil.iter_modules([str(Path(__file__).parent)]) if module.name != "__main__"]
    unknown = [name for name in names if name not in found]
    if unknown:
        sys.exit(f"there is no benchmark {', '.join(unknown)}; there are: {', '.join(found)}")
    for name in names or found:
        print(f"== {name}")
        importlib.import_module(f"tests.bench.{name}").run()
        print()


if __name__ == "__main__":
    main(sys.argv[1:])
