"""Figures, each with the machine they were taken on.

`python -m tests.bench submit, presets, estimates, engine, levers, busy, mapping first-step or demo`.
"""

import os
import sys
import tempfile

os.environ["GRAFTWORK_HOME"] = tempfile.mkdtemp(prefix="graftwork-bench-")
os.environ["DJANGO_SETTINGS_MODULE"] = "webapp.settings"

import django

django.setup()

from tests.bench.busy import busy  # noqa: E402
from tests.bench.demo import demo  # noqa: E402
from tests.bench.engine.run import engine  # noqa: E402
from tests.bench.estimates import estimates  # noqa: E402
from tests.bench.first_step import first_step  # noqa: E402
from tests.bench.levers import levers  # noqa: E402
from tests.bench.mapping import mapping  # noqa: E402
from tests.bench.presets import presets  # noqa: E402
from tests.bench.submit import submit  # noqa: E402

BENCHES = {
    "submit": lambda _words: submit(), "presets": presets, "estimates": estimates, "engine": engine,
    "levers": levers, "busy": busy, "mapping": mapping, "first-step": first_step, "demo": demo,
}  # fmt: skip

if __name__ == "__main__":
    if len(sys.argv) < 2 or sys.argv[1] not in BENCHES:
        sys.exit(f"Say which: python -m tests.bench {' | '.join(BENCHES)}")
    for line in BENCHES[sys.argv[1]](sys.argv[2:]):
        print(line, flush=True)  # noqa: T201
