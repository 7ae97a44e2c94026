"""The built-in voice: eSpeak NG, and which of its voices reads which run of text."""
