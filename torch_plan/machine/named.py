"""A GPU that somebody names: a card, a driver, or what nvidia-smi prints."""

from __future__ import annotations

import re

from torch_plan.catalog.hardware import Gpu, Hardware, cards_text
from torch_plan.catalog.versions import version_key

_DRIVER = re.compile(r"driver(?: version)?:?\s*(\d{3}(?:\.\d+)*)", re.IGNORECASE)
_CAPABILITY = re.compile(r"(?:capability|compute_cap|sm_?|,)\s*:?\s*(\d{1,2})\.?(\d)\b")
_GFX = re.compile(r"\bgfx(?!000)[0-9a-f]{3,4}\b")


def named_gpu(text: str, hardware: Hardware, platform: str) -> Gpu | None:
    """Return the GPU that a text names, None if it names none that is known.

    The text may be the table of nvidia-smi, or the rows of its `driver_version,compute_cap`.
    """
    if re.fullmatch(r"\d{3}\.\d+(\.\d+)?(,.*)?", text.strip(), re.DOTALL):
        text = f"driver {text}"
    elif re.match(r"\d{3,4}\b", text):
        text = f"GTX {text} RTX {text} RX {text}"
    rows = hardware.cards(platform)
    # An RTX 4090 is one of the row `RTX 40, L4`.
    pairs = ((card, name) for card, row in rows.items() for name in row.split(", "))
    named = [*_GFX.findall(text), *(card for card, name in pairs if _pattern(name).search(text))]
    amd = tuple(dict.fromkeys(card for card in named if card.startswith("gfx")))
    if amd:
        return Gpu("rocm", f"AMD {cards_text(amd)}", cards=amd)
    capabilities = {*named, *(".".join(numbers) for numbers in _CAPABILITY.findall(text))}
    cards, driver = tuple(sorted(capabilities, key=version_key)), _DRIVER.search(text)
    if driver:
        # Without a decimal point it is any driver of that number.
        number = driver[1] if "." in driver[1] else f"{driver[1]}.999"
        card = cards_text(cards) if cards else "card unknown"
        return Gpu("cu", f"NVIDIA driver {driver[1]}, {card}", number, cards)
    if cards:
        return Gpu("cu", f"NVIDIA GPU with an up-to-date driver, {cards_text(cards)}", cards=cards)
    is_intel = re.search(r"\b(intel|arc|xpu)\b", text, re.IGNORECASE)
    return Gpu("xpu", "Intel graphics") if is_intel else None


def _pattern(name: str) -> re.Pattern[str]:
    """Return what finds a card: `RTX 40` and `GTX 900` are series, the others names."""
    series = re.fullmatch(r"([GR]TX|MI)(?: (\d\d|\d(?=00))(00)?|(2)00)", name)
    words = (
        [series[1], rf"{series[2] or series[4]}\d\d"] if series else [*map(re.escape, name.split())]
    )
    pattern = r"\s*".join(words).replace(r"PRO\s*", r"PRO.*")
    more = r"(?:[A-Z]|\s?(?:Ti|XTX?|SUPER))?(?![a-z0-9])"
    return re.compile(rf"(?<![A-Z0-9]){pattern}{more}", re.IGNORECASE)
