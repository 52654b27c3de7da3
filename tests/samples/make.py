"""Writes the sample datasets from Babel's facts (Unicode CLDR): `python -m tests.samples.make`."""

import csv
import io
import json
import random
from datetime import date, timedelta
from decimal import Decimal

from babel import Locale, UnknownLocaleError
from babel.core import get_global
from babel.dates import format_date
from babel.languages import get_official_languages
from babel.numbers import format_currency, get_currency_symbol, get_territory_currencies
from babel.units import format_unit

from webapp.samples.catalogue import SAMPLES, sample_path

SEED = 20261123
ENGLISH = Locale("en")
DATE_LANGUAGES = ("en", "de", "fr", "es", "it", "pt")


def dates() -> str:
    """One date a row, long or full form, no date twice in a language."""
    chance = random.Random(SEED)
    rows = []
    for number in range(SAMPLES["dates"].num_rows):
        language = DATE_LANGUAGES[number % len(DATE_LANGUAGES)]
        day = date(1950, 1, 1) + timedelta(days=chance.randrange(36525))
        form = chance.choice(["long", "full"])
        rows.append([format_date(day, form, locale=language), day.isoformat()])
    return _csv(["written", "iso"], rows)


def kinds() -> str:
    """Names in English, a hundred of each kind."""
    chance = random.Random(SEED)
    names = {
        "country": [name for code, name in ENGLISH.territories.items() if len(code) == 2 and code.isalpha()],
        "city": _cities(),
        "language": [name for code, name in ENGLISH.languages.items() if "_" not in code],
        "currency": list(ENGLISH.currencies.values()),
        "unit": _units(),
        "writing system": list(ENGLISH.scripts.values()),
    }
    seen: set[str] = set()
    rows = []
    quota = SAMPLES["kinds"].num_rows // len(names)
    for kind, candidates in names.items():
        fit = sorted({name for name in candidates if _is_plain(name)} - seen)
        chosen = chance.sample(fit, quota)
        seen.update(fit)
        rows += [[name, kind] for name in chosen]
    chance.shuffle(rows)
    return _csv(["name", "kind"], rows)


def money() -> str:
    """Two turns a row: what people pay with, then how an amount of it is written there."""
    chance = random.Random(SEED)
    countries = [country for code in sorted(ENGLISH.territories) if (country := _country(code))]
    lines = []
    asked = set()
    while len(lines) < SAMPLES["money"].num_rows:
        name, locale, currency = chance.choice(countries)
        amount = Decimal(chance.randrange(100, 9_999_999)) / 100
        question = chance.choice(MONEY_QUESTIONS).format(country=name)
        follow_up = chance.choice(AMOUNT_QUESTIONS).format(amount=f"{amount:.2f}")
        if (question, follow_up) in asked:
            continue
        asked.add((question, follow_up))
        currency_name = ENGLISH.currencies[currency]
        symbol = get_currency_symbol(currency, locale=locale)
        written = format_currency(amount, currency, locale=locale).replace("\xa0", " ").replace(" ", " ")
        turns = [
            ("system", "You are the money desk. Answer in one short line."),
            ("user", question),
            ("assistant", f"{name}: {currency_name} ({currency}), sign {symbol}."),
            ("user", follow_up),
            ("assistant", f"Written there: {written}"),
        ]
        lines.append(json.dumps({"messages": [{"role": r, "content": c} for r, c in turns]}, ensure_ascii=False))
    return "\n".join(lines) + "\n"


MONEY_QUESTIONS = (
    "What do people pay with in {country}?",
    "I am going to {country}. Which money do I need?",
    "Which currency is used in {country}?",
)
AMOUNT_QUESTIONS = (
    "And how is {amount} written there?",
    "How would {amount} look on a bill?",
    "Write {amount} please.",
)


def _country(code: str) -> tuple[str, Locale, str] | None:
    """English name, main locale and present currency; None where CLDR lacks one, or does not write it in Latin."""
    if len(code) != 2 or not code.isalpha():
        return None
    languages, currencies = get_official_languages(code), get_territory_currencies(code)
    if not languages or not currencies:
        return None
    try:
        locale = Locale.parse(f"{languages[0]}_{code}")
    except (UnknownLocaleError, ValueError):
        return None
    name = ENGLISH.territories[code]
    written = format_currency(Decimal("1234.5"), currencies[0], locale=locale)
    is_latin = all(not letter.isalpha() or ord(letter) < 0x250 for letter in written)
    return (name, locale, currencies[0]) if is_latin and "\u200f" not in written and _is_plain(name) else None


def _cities() -> list[str]:
    """The cities that name the world's time zones."""
    zones = [zone for zone in get_global("zone_territories") if not zone.startswith(("Antarctica", "Etc"))]
    return [zone.rsplit("/", 1)[-1].replace("_", " ") for zone in zones]


def _units() -> list[str]:
    """Units of measurement, in the plural."""
    units = [
        unit for unit in ENGLISH._data["unit_patterns"] if not unit.startswith("duration-") or "person" not in unit
    ]
    return [format_unit(5, unit, "long", locale=ENGLISH).removeprefix("5 ") for unit in units]


def _is_plain(name: str) -> bool:
    return all(letter.isalpha() or letter in " -’'." for letter in name) and 2 < len(name) < 40


def _csv(header: list[str], rows: list[list[str]]) -> str:
    text = io.StringIO()
    csv.writer(text, lineterminator="\n").writerows([header, *rows])
    return text.getvalue()


MAKERS = {"dates": dates, "kinds": kinds, "money": money}

if __name__ == "__main__":
    for sample_id, make in MAKERS.items():
        sample_path(sample_id).write_text(make(), encoding="utf-8")
