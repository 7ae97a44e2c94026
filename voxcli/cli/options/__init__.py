"""Options of the command line, and the settings that they turn into."""
