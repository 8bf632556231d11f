"""`python -m` form of the command."""

from .cli import main

main()
