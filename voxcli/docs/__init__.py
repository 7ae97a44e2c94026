"""Help topics, shown by `voxcli help TOPIC`."""
