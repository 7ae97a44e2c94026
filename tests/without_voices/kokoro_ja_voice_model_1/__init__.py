"""Package without its part of the model, in front of the one with it: runs of the program speak by eSpeak NG."""
