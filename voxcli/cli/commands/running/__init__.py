"""`voxcli ps`, `load` and `stop`: engines that stay loaded between calls."""
