"""Write anew what follows from the facts and the template, after something was added.

    uv run -m tools.docs

That is the layout of `torch_plan/builds.json`, the table of `docs/support.md` and the examples of
`docs/answers.md`.
"""

from __future__ import annotations

import json

from tools.lib import answers_page, support_table
from tools.lib.facts_file import dump_facts
from torch_plan.facts import BUILDS_PATH, Facts


def main() -> None:
    """Write the files."""
    facts = json.loads(BUILDS_PATH.read_text(encoding="utf-8"))
    support, answers = support_table.PAGE, answers_page.PAGE
    texts = {
        BUILDS_PATH: dump_facts(facts),
        support: support_table.refreshed(support.read_text(encoding="utf-8"), Facts(facts)),
        answers: answers_page.refreshed(answers.read_text(encoding="utf-8")),
    }
    for path, text in texts.items():
        path.write_text(text, encoding="utf-8", newline="\n")


if __name__ == "__main__":
    main()
