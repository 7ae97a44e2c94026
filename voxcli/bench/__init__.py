"""How soon and how fast engines speak, measured so that the numbers can be trusted."""
