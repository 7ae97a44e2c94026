"""`voxcli voices`."""
