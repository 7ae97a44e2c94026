"""`voxcli models`."""
