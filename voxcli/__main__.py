"""`python -m voxcli`."""

from voxcli.cli.app import main

main()
