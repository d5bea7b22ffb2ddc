"""Write anew what is written from the facts and the template, after something was added.

    uv run -m tools.pages

That is the layout of `torch_plan/builds.json`, `docs/support.md` and the examples of
`docs/answers.md`.
"""

from __future__ import annotations

import json

from tools import answers_page, support
from tools.lib.facts_file import FACTS_PATH, dump_facts

if __name__ == "__main__":
    facts = json.loads(FACTS_PATH.read_text(encoding="utf-8"))
    FACTS_PATH.write_text(dump_facts(facts), encoding="utf-8", newline="\n")
    support.main([])
    answers_page.main()
