"""The commands that maintainers run: `uv run -m tools.demo`."""
