"""`python -m gateway` is `lapel`."""

from gateway.cli import main

main()
