"""What only a GPU can show, in eight minutes: `python tests/gpu/run.py --json figures.json`.

Needs a checkout and the packages of the extra `train`; no pytest, no network, no downloaded weights. `--cpu` runs the
same on a processor with tiny sizes. Each section is tried by itself, and the JSON is written after each, so that what
was measured is kept whatever comes later. A section that finds no room or no time is “skipped”, never passed. Exit
code 1 if a section failed.
"""

import argparse
import contextlib
import json
import os
import platform
import signal
import sys
import tempfile
import threading
import time
import traceback
from collections.abc import Callable, Iterator
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any

BEGAN = time.monotonic()
PROJECT = Path(__file__).resolve().parents[2]
LAST_SECOND = 470
"""When the script ends, come what may."""
BUDGETS = {"checks": 40, "methods": 20, "llama": 120}
"""Seconds that one section of each group may take."""
PACKAGES = ("torch", "transformers", "peft", "accelerate", "bitsandbytes", "triton")


class OutOfTime(BaseException):
    """Not an Exception, so that the engine does not take it for a failure of its own."""


class Report:
    """The sections so far, on the disk after each."""

    def __init__(self, about: dict[str, Any], path: Path | None) -> None:
        self.about, self.path = about, path
        self.sections: dict[str, dict[str, Any]] = {}
        self.lock = threading.Lock()

    @property
    def seconds_left(self) -> float:
        return LAST_SECOND - (time.monotonic() - BEGAN)

    def write(self) -> str:
        with self.lock:
            counts = [section["status"].partition(":")[0] for section in self.sections.values()]
            summary = {status: counts.count(status) for status in ("passed", "skipped", "failed")}
            told = {**self.about, "seconds": time.monotonic() - BEGAN, "summary": summary, "sections": self.sections}
            text = json.dumps(told, indent=1)
            if self.path:
                aside = self.path.with_name(self.path.name + ".part")
                aside.write_text(text + "\n")
                aside.replace(self.path)
        return text

    @property
    def exit_code(self) -> int:
        return int(any(section["status"] == "failed" for section in self.sections.values()))

    def run(self, name: str, seconds: float, work: Callable[[], dict[str, Any] | None]) -> None:
        """Try one section for so many seconds."""
        began = time.monotonic()
        section: dict[str, Any] = {"status": "skipped: the script's time was over"}
        self.sections[name] = section
        if self.seconds_left > 5:
            section.update(outcome_of(work, min(seconds, self.seconds_left - 2)))
        section["seconds"] = round(time.monotonic() - began, 2)
        print(f"{section['seconds']:7.1f} s  {name}: {section['status']}", file=sys.stderr, flush=True)  # noqa: T201
        self.write()


def outcome_of(work: Callable[[], dict[str, Any] | None], seconds: float) -> dict[str, Any]:
    from tests.gpu.checks import Skipped
    from worker.engine.errors import is_out_of_memory

    try:
        with time_limit(seconds):
            return {"status": "passed", "figures": work() or {}}
    except OutOfTime:
        return {"status": f"skipped: it took more than its {seconds:.0f} seconds"}
    except Skipped as reason:
        return {"status": f"skipped: {reason}"}
    except Exception as error:
        if is_out_of_memory(error):
            return {"status": "skipped: it does not fit into this device's memory"}
        traceback.print_exc()
        return {"status": "failed", "error": f"{type(error).__name__}: {error}"[:2000]}


@contextlib.contextmanager
def time_limit(seconds: float) -> Iterator[None]:
    def over(_signal: int, _frame: Any) -> None:
        raise OutOfTime

    before = signal.signal(signal.SIGALRM, over)
    signal.setitimer(signal.ITIMER_REAL, seconds)
    try:
        yield
    finally:
        signal.setitimer(signal.ITIMER_REAL, 0)
        signal.signal(signal.SIGALRM, before)


def end_at_the_last_second(report: Report) -> None:
    """A kernel that hangs hears no signal: then this thread ends the process, with what is known by then."""

    def end() -> None:
        print(report.write(), flush=True)  # noqa: T201
        os._exit(report.exit_code)

    timer = threading.Timer(report.seconds_left, end)
    timer.daemon = True
    timer.start()


def about_this_machine(is_cpu: bool) -> dict[str, Any]:
    import torch

    about: dict[str, Any] = {
        "device": platform.processor() or platform.machine(), "driver": None, "is_cpu": is_cpu,
        "python": platform.python_version(), "cuda": torch.version.cuda,
        "versions": {name: version_of(name) for name in PACKAGES},
    }  # fmt: skip
    if not is_cpu:
        card = torch.cuda.get_device_properties(0)
        about |= {"device": card.name, "memory_bytes": card.total_memory, "driver": driver_version()}
    return about


def version_of(package: str) -> str | None:
    try:
        return version(package)
    except PackageNotFoundError:
        return None


def driver_version() -> str | None:
    try:
        import pynvml

        pynvml.nvmlInit()
        return str(pynvml.nvmlSystemGetDriverVersion())
    except Exception:  # it is only told; whatever is wrong with it, the checks go on
        return None


def run_checks(report: Report, device: Any) -> None:
    from tests.gpu import checks

    kernel = checks.kernel_has_the_gradients_of_what_is_written_out
    for method in checks.PACKED_METHODS:
        run_in_folder(report, "checks", f"kernel {method}", lambda folder, m=method: kernel(folder, device, m))
    for check in (checks.a_step_never_waits, checks.a_paged_optimizer_goes_on_as_if_undisturbed):
        run_in_folder(report, "checks", check.__name__, lambda folder, c=check: c(folder, device))


def run_llamas(report: Report, device: Any) -> None:
    from tests.gpu import llama

    def flops() -> dict[str, Any]:
        return {"matmul_bf16_tflops_a_second": llama.matmul_flops_a_second(device) / 1e12}

    report.run("llama: matmul", 20, flops)
    shapes = llama.TINY_SHAPES if device.type == "cpu" else llama.SHAPES
    for name, shape in shapes.items():
        run_in_folder(report, "llama", name, lambda folder, s=shape: llama.check_shape(folder, s, device))


def run_methods(report: Report, _device: Any) -> None:
    from tests.engine.cells import EVERY_METHOD
    from tests.gpu.methods import check_cell

    for cell in EVERY_METHOD:
        run_in_folder(report, "methods", str(cell), lambda folder, c=cell: check_cell(folder, c))


def run_in_folder(report: Report, group: str, name: str, work: Callable[[Path], dict[str, Any] | None]) -> None:
    with tempfile.TemporaryDirectory(prefix="gpu-run-", ignore_cleanup_errors=True) as scratch:
        report.run(f"{group}: {name}", BUDGETS[group], lambda: work(Path(scratch) / "work"))


def main(words: list[str]) -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--json", type=Path, help="where to write the results, which are printed as well")
    parser.add_argument("--cpu", action="store_true", help="tiny sizes, on the processor")
    options = parser.parse_args(words)
    os.environ.update({"HF_HUB_OFFLINE": "1", "TOKENIZERS_PARALLELISM": "false"})
    if options.cpu:
        os.environ["CUDA_VISIBLE_DEVICES"] = ""  # the engine would take a card that it sees
    sys.path.insert(0, str(PROJECT))
    import torch

    if not options.cpu and not torch.cuda.is_available():
        parser.error("PyTorch sees no CUDA device here; --cpu runs the same with tiny sizes on the processor")
    device = torch.device("cpu" if options.cpu else "cuda")
    report = Report(about_this_machine(options.cpu), options.json)
    end_at_the_last_second(report)
    report.write()
    for name, group in {"checks": run_checks, "llama": run_llamas, "methods": run_methods}.items():
        try:
            group(report, device)
        except Exception as error:
            traceback.print_exc()
            report.sections[name] = {"status": "failed", "seconds": 0.0, "error": f"{type(error).__name__}: {error}"}
    print(report.write())  # noqa: T201
    return report.exit_code


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
