"""The rendering child as a worker starts it: quick, without torch, and harmless whatever a template asks of it."""

import signal
import subprocess
import sys
from pathlib import Path

import pytest

from tests.engine.previews import lay_rows, lay_tokenizer, request_for
from tests.tiny import CHAT_TEMPLATE
from webapp.contract.errand_dir import ANSWER, REQUEST
from webapp.contract.events import Event, Failed
from webapp.contract.preview import Preview
from worker.supervisor import Leash, Order, Outcome, run_errand

# It writes nothing: on a quick machine, what it wrote would fill the memory it may have before its time is over.
ENDLESS = "{% for a in range(99999) %}{% for b in range(99999) %}{% set c = a * b %}{% endfor %}{% endfor %}"


class Child:
    """Runs the child on a folder and remembers what it said."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder / "errand"
        self.folder.mkdir()
        self.rows = lay_rows(folder / "rows.parquet", [("hi", "good day")])
        self.events: list[Event] = []

    def lay(self, template: str) -> None:
        base = lay_tokenizer(self.folder.parent / "base", template=template)
        (self.folder / REQUEST).write_text(request_for(self.rows, base).model_dump_json())

    def run(self, template: str, module: str = "worker.engine.preview") -> Outcome:
        self.lay(template)
        return run_errand(module, self.folder, self.tick, Leash(stop_grace=0.5, stall=60))

    def tick(self, events: list[Event]) -> Order:
        self.events += events
        return "go_on"


@pytest.fixture
def child(tmp_path: Path) -> Child:
    return Child(tmp_path)


def test_it_answers(child: Child) -> None:
    assert child.run(CHAT_TEMPLATE).exit_code == 0
    told = Preview.model_validate_json((child.folder / ANSWER).read_text())
    assert told.num_rows == 1


def test_it_loads_no_torch(child: Child) -> None:
    child.lay(CHAT_TEMPLATE)
    program = (
        "import sys; from pathlib import Path; from worker.engine.preview import answer; answer(Path(sys.argv[1]));"
        "print(sum(name.startswith('torch.') for name in sys.modules))"
    )
    done = subprocess.run(
        [sys.executable, "-c", program, str(child.folder)], capture_output=True, text=True, check=True
    )
    assert done.stdout.split() == ["0"]


def test_a_template_that_asks_for_all_memory_gets_a_sentence(child: Child) -> None:
    assert child.run("{{ 'a' * 10 ** 10 }}").exit_code == 4
    (failed,) = child.events
    assert isinstance(failed, Failed)
    assert "more memory" in failed.message


def test_a_template_that_never_ends_is_ended_by_the_kernel(child: Child) -> None:
    assert child.run(ENDLESS, "tests.engine.impatient_preview").exit_code == -signal.SIGXCPU
