"""What the commands share, and the tests with them."""
