"""`python -m skills_refresh`."""

from .cli import main

main()
