"""`python -m worker.engine.preview DIR`: answers DIR/request.json, a PreviewRequest, in DIR/answer.json.

A chat template is a program that a stranger wrote, so this process takes little time and memory before it dies.
Exit codes as in `child.py`.
"""

import argparse
import os
import resource
import sys
from functools import partial
from pathlib import Path

from webapp.contract.errand_dir import ANSWER, REQUEST
from webapp.contract.events import append_event
from webapp.contract.job_dir import EVENTS
from webapp.contract.preview import PreviewRequest
from worker.engine.child import exit_code_of
from worker.engine.errors import TrainingError
from worker.engine.limited import PROCESSOR_SECONDS
from worker.engine.stop import control_pipe

LIMITS = {
    resource.RLIMIT_CPU: PROCESSOR_SECONDS,
    # The largest tokenizers need a third of it.
    resource.RLIMIT_AS: 3 << 30,
    resource.RLIMIT_FSIZE: 64 << 20,
    resource.RLIMIT_CORE: 0,
}


def answer(folder: Path) -> None:
    """Raises TrainingError."""
    request = PreviewRequest.model_validate_json((folder / REQUEST).read_text())
    os.environ.update(HF_HUB_OFFLINE="1", TOKENIZERS_PARALLELISM="false", TRANSFORMERS_VERBOSITY="error")
    # transformers imports torch where it can, which takes longer than all the rest of the answer.
    sys.modules["torch"] = None  # type: ignore[assignment]
    from worker.engine.rendering import render

    try:
        preview = render(request)
    except MemoryError as error:
        message = (
            "To render these rows takes more memory than a preview may have. Most likely the base model's chat "
            "template asks for it; use another base model."
        )
        raise TrainingError("template", message) from error
    (folder / ANSWER).write_text(preview.model_dump_json())


def main() -> int:
    parser = argparse.ArgumentParser(prog="python -m worker.engine.preview", description=__doc__)
    parser.add_argument("folder", type=Path)
    folder: Path = parser.parse_args().folder
    for limit, most in LIMITS.items():
        # The kernel warns at the first, which ends us with a signal that says why, and kills at the second.
        resource.setrlimit(limit, (most, most + (limit == resource.RLIMIT_CPU)))
    control_pipe()
    return exit_code_of(partial(answer, folder), partial(append_event, folder / EVENTS))


if __name__ == "__main__":
    sys.exit(main())
