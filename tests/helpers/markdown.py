"""What the tests of several pages look for in Markdown."""

from __future__ import annotations

import re

BLOCK = re.compile(r"^```(\w+)\n(.*?)^```", re.MULTILINE | re.DOTALL)
"""A block of code: its language, and its text."""
