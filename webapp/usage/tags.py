"""`{% load usage %}`: bars on pages of apps that stand below this one and so cannot count by themselves."""

from typing import Any

from django import template

from webapp.usage.bars import bars_of

register = template.Library()


@register.inclusion_tag("usage/_bars.html")
def usage_bars(user: Any, *kinds: str) -> dict[str, Any]:
    """Of these limits, or of all."""
    return {"bars": bars_of(user.id, kinds) if kinds else bars_of(user.id)}


@register.inclusion_tag("usage/_near.html")
def usage_near(user: Any, *kinds: str) -> dict[str, Any]:
    """Only of those that are nearly used up."""
    return {"bars": [bar for bar in bars_of(user.id, kinds) if bar.is_near]}
