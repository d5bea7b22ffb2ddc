"""Measure what uv installs of PyTorch in a project, and mend as little of it as it needs."""


class Stop(Exception):
    """Why this command leaves a project as it is, and what its owner can do."""
