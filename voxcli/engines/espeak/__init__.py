"""eSpeak NG engine: the built-in voices, and the choice of a voice for each script in a text."""
