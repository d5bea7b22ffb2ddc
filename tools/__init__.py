"""What maintainers run, and what tests and the demo share with it."""
