"""Bring a plan for PyTorch into a `pyproject.toml` that exists: `uv run -m adopt PATH`.

`project` says what the file says and which answers that gives, `laying` what it is to say by the
plan of these answers, `document` writes that, `__main__` talks to people and to uv.
"""


class Stop(Exception):
    """Why this command leaves a project as it is, and what its owner can do."""
