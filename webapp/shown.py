"""How figures are shown to people, on every page alike. A template library that every template has at hand."""

from django import template

from webapp.contract.verdict import Comparison

register = template.Library()


@register.filter
def megabytes(size_bytes: float | None) -> str:
    """4_900_000 -> "4.9 MB"; kilobytes and gigabytes only where MB would say nothing."""
    if size_bytes is None:
        return "unknown"
    if size_bytes < 100_000:
        return f"{size_bytes / 1e3:.1f} kB"
    return f"{size_bytes / 1e6:.1f} MB" if size_bytes < 1e9 else f"{size_bytes / 1e9:.1f} GB"


@register.filter
def duration(seconds: float | None) -> str:
    """75.2 -> "1 min 15 s"."""
    if seconds is None:
        return "unknown"
    whole = max(0, round(seconds))
    if whole < 60:
        return f"{whole} s"
    if whole < 3600:
        return f"{whole // 60} min {whole % 60} s"
    return f"{whole // 3600} h {whole % 3600 // 60} min"


@register.filter
def percent(share: float | None) -> str:
    """0.0363 -> "3.6 %"; small shares keep two digits that matter: 0.00034 -> "0.034 %"."""
    if share is None:
        return "unknown"
    value = share * 100
    return f"{value:.2g} %" if 0 < abs(value) < 0.1 else f"{value:.1f} %"


@register.filter
def short_count(number: float) -> str:
    """134_515_008 -> "134.5 M"."""
    for size, letter in ((1e9, "G"), (1e6, "M"), (1e3, "k")):
        if number >= size:
            return f"{number / size:.1f} {letter}"
    return f"{number:g}"


@register.filter
def visible(text: str) -> str:
    """A token with what would not be seen of it: "\\n" -> "↵\\n"."""
    return text.replace("\n", "↵\n").replace("\t", "→\t") or "∅"


@register.filter
def in_metric(value: float, comparison: Comparison) -> str:
    """A score as its metric is read: a percentage, or a plain number."""
    return f"{value * 100:.1f} %" if comparison.is_percent else f"{value:.3f}"


@register.filter
def difference_in(value: float, comparison: Comparison) -> str:
    """A signed difference: percentage points or a plain number."""
    shown = f"{value * 100:+.1f}" if comparison.is_percent else f"{value:+.3f}"
    return shown.replace("-", "−")


@register.filter
def plain(number: float) -> str:
    """A bound as people write it: 0.000001, 0.5, 8192; neither 1e-06 nor 8192.0."""
    return f"{number:f}".rstrip("0").rstrip(".")
