"""`python -m cli` is `hookline`."""

from cli.main import main

main()
