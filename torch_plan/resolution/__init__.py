"""What can be had: cells, what is wrong with them, ways out, refusals, defaults."""
