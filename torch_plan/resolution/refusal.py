"""The message for answers that cannot be served: why, what works, the command to run."""

from __future__ import annotations

from collections.abc import Callable, Mapping

from torch_plan.answers.problems import FindProblems, change
from torch_plan.resolution.search import OFFERED, Search, distinct
from torch_plan.urls import masked


def refusal_text(
    given: Mapping[str, str],
    find_problems: FindProblems,
    command: Callable[[Mapping[str, str]], str],
) -> str:
    """Say why answers are refused, what works instead, and the command that does it."""
    search = Search(given, find_problems)
    way_out = search.way_out_or_less()
    answers = way_out.answers if way_out else given
    problems = distinct([*search.problems, *(way_out.met if way_out else ())])
    lines = ["This cannot be done:" if len(problems) == 1 else f"{len(problems)} problems:"]
    for problem in problems:
        lines += ["", f"  {problem.heading}", f"    {problem.reason}"]
        working = search.working_ways(problem, problems, answers)[:OFFERED]
        if working:
            lines.append("    What works: " + ", or ".join(map(change, working)))
    if way_out is None:
        return masked("\n".join([*lines, "", "Nothing was written."]))
    changed = {key: answers.get(key) for key in {**given, **answers}}
    changed = {key: value for key, value in changed.items() if value != given.get(key)}
    how = f"{'' if set(changed.values()) == {None} else 'with '}{change(changed)}"
    lines += ["", f"Nothing was written. To run it again {how}:", "", f"  {command(answers)}"]
    return masked("\n".join(lines))
