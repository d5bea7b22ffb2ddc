"""Write `torch_plan/builds.json` in the layout that a person can review line by line."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

FACTS_PATH = Path(__file__).resolve().parents[2] / "torch_plan" / "builds.json"


def dump_facts(facts: dict[str, Any]) -> str:
    """Return the JSON text: nested tables on lines of their own, each innermost one on one line."""
    return _dump(facts, "") + "\n"


def _dump(value: Any, indent: str) -> str:
    children = value.values() if isinstance(value, dict) else value
    if not isinstance(value, (dict, list)) or not any(
        isinstance(child, (dict, list)) for child in children
    ):
        return json.dumps(value, ensure_ascii=False)
    deeper = indent + " "
    if isinstance(value, dict):
        lines = [f"{deeper}{json.dumps(key)}: {_dump(item, deeper)}" for key, item in value.items()]
        return "{\n" + ",\n".join(lines) + f"\n{indent}}}"
    return "[\n" + ",\n".join(deeper + _dump(item, deeper) for item in value) + f"\n{indent}]"
