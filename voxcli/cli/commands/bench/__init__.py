"""`voxcli bench`."""
