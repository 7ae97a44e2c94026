"""`voxcli serve`."""
