"""Measure what uv installs of PyTorch in a project, and mend as little of it as it needs.

`document` is a TOML file, `parse` takes it apart, `measure` asks uv what each platform gets, `find`
compares the two, `edit` and `answers` say what is to be written instead, `report` lays out what
people read, `__main__` is the command.
"""


class Stop(Exception):
    """Why this command leaves a project as it is, and what its owner can do."""
