"""Short pages that explain. What the contract knows is drawn from it, so that help cannot disagree with the app."""

from django.conf import settings
from django.http import Http404, HttpRequest, HttpResponse
from django.shortcuts import render
from django.views.decorators.http import require_safe

from webapp.contract.base_models import STARTERS
from webapp.contract.capabilities import ABILITIES, ABILITY_WORDS, abilities_of
from webapp.contract.failures import FAILURES
from webapp.contract.methods import METHODS, TRAINING_KNOBS
from webapp.contract.model_shape import FAMILY_OF_TYPE
from webapp.contract.promises import PROMISES
from webapp.contract.shortfalls import shortfalls_of
from webapp.contract.split import MIN_ROWS, split_sizes
from webapp.contract.tasks import TASK_WORDS
from webapp.datasets.readers.csv_rows import MAX_CELL_CHARS
from webapp.datasets.readers.json_values import MAX_DEPTH, MAX_KEYS
from webapp.datasets.readers.names import MAX_COLUMNS
from webapp.datasets.readers.text import MAX_LINE_CHARS
from webapp.datasets.reading.table import MAX_ROWS
from webapp.help.pages import PAGES

_SPLIT_EXAMPLES = (MIN_ROWS, 300, 1_000, 10_000)
_CAPS = {
    "line_chars": MAX_LINE_CHARS,
    "cell_chars": MAX_CELL_CHARS,
    "keys": MAX_KEYS,
    "depth": MAX_DEPTH,
    "columns": MAX_COLUMNS,
    "rows": MAX_ROWS,
}
"""Of a file of rows."""


@require_safe
def index(request: HttpRequest) -> HttpResponse:
    return render(request, "help/index.html", {"pages": PAGES.values()})


@require_safe
def page(request: HttpRequest, slug: str) -> HttpResponse:
    if slug not in PAGES:
        raise Http404
    return render(
        request,
        PAGES[slug].template,
        {
            "page": PAGES[slug],
            "pages": PAGES.values(),
            "starters": STARTERS.values(),
            "methods": METHODS.values(),
            "abilities": [ABILITY_WORDS[ability] for ability in ABILITIES],
            "able": [(method, abilities_of(name), shortfalls_of(name)) for name, method in METHODS.items()],
            "training_knobs": TRAINING_KNOBS,
            "task_words": TASK_WORDS,
            "promises": PROMISES,
            "failures": FAILURES.items(),
            "min_rows": MIN_ROWS,
            "caps": _CAPS,
            "splits": [(rows, split_sizes(rows)) for rows in _SPLIT_EXAMPLES],
            "model_types": sorted(FAMILY_OF_TYPE),
            "hub_limit": settings.HUB_LIMIT_BYTES,
            "upload_limit_bytes": settings.UPLOAD_LIMIT_BYTES,
            "data_dir": settings.DATA_DIR,
        },
    )
