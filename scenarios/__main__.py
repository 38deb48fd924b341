"""`python -m scenarios` is `holdfast`."""

from scenarios.cli import main

main()
