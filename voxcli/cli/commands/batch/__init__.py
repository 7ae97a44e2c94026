"""`voxcli batch`: many texts into many files."""
