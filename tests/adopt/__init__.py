"""The tests of `adopt`."""
