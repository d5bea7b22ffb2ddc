"""What shells make of a line: sh itself, and the rules of those of Windows."""

from __future__ import annotations

import re
import shlex
import subprocess
import sys


def printed_words(line: str) -> list[str]:
    """Return the words of a command that was printed for the shell of this system."""
    return powershell_words(line.strip()) if sys.platform == "win32" else shlex.split(line)


def sh_words(line: str) -> list[str]:
    """Return the arguments that sh hands to a program."""
    script = f"printf '%s\\0' {line}"
    printed = subprocess.run(["sh", "-c", script], capture_output=True, check=True).stdout
    return printed.decode("utf-8", "surrogateescape").split("\0")[:-1]


def cmd_words(line: str) -> list[str]:
    """Return the arguments of a program that somebody starts from cmd.

    cmd reads `& | < > ^ ( )` unless a quote is open, and `%NAME%` in any case, where there is such
    a variable ("cmd" and "set" on Microsoft Learn); it hands the rest over as it is.
    """
    assert not re.search(r"%\w+%|[\r\n]", line), line
    outside = re.sub(r'"[^"]*"', "", line)
    assert not re.search(r'[&|<>^()"]', outside), line
    return program_words(line)


def powershell_words(line: str, *, old: bool = False) -> list[str]:
    """Return the arguments of a program that somebody starts from PowerShell.

    about_Parsing and about_Quoting_Rules on Microsoft Learn: within double quotes `$` and the
    backtick are read, typographic quotes are quotes, within single ones only a doubled quote is.
    Before 7.3 (`old`) a word with space is put between double quotes as it is, and its own double
    quotes are lost.
    """
    part = re.compile(
        r"""["\u201c-\u201e]([^"\u201c-\u201e`$]*)["\u201c-\u201e]"""
        r"""|['\u2018-\u201b]((?:[^'\u2018-\u201b]|['\u2018-\u201b]{2})*)['\u2018-\u201b]"""
        r"""|([^\s"'\u2018-\u201e`$&|;<>(){},@#]+)"""
        r"|(\s+)"
    )
    words, position = [""], 0
    while position < len(line):
        match = part.match(line, position)
        assert match, (line, position)
        double, single, bare, space = match.groups()
        words += [""] if space else []
        # What begins with one dash is split at its first dot or colon.
        assert not (bare and re.match(r"-[^-]*[.:]", bare) and not words[-1]), line
        words[-1] += double or bare or re.sub("(['\u2018-\u201b]){2}", r"\1", single or "")
        position = match.end()
    if old:
        return program_words(" ".join(f'"{it}"' if re.search(r"\s", it) else it for it in words))
    return words


def program_words(line: str) -> list[str]:
    """Return the arguments of a command line as programs on Windows take it apart.

    "Parsing C command-line arguments" on Microsoft Learn: backslashes count only before a quote,
    two of them are one, and an odd one makes the quote a letter.
    """
    words, word, is_open, started = [], "", False, False
    for slashes, quote, other in re.findall(r'(\\+(?="))?(")|([^"])', line):
        if quote:
            word += "\\" * (len(slashes) // 2)
            if len(slashes) % 2:
                word += '"'
            else:
                is_open = not is_open
            started = True
        elif other.isspace() and not is_open:
            words += [word] if started else []
            word, started = "", False
        else:
            word, started = word + other, True
    return [*words, word] if started else words
