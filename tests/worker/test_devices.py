"""What a worker says it computes on, with a driver of ours in NVML's place and cgroup files of ours."""

import os
import subprocess
import sys
from pathlib import Path

import psutil
import pytest

from tests.worker.nvml import FakeNvml
from worker.devices import devices, load
from worker.memory_limit import memory_limit_bytes, memory_used_bytes


@pytest.fixture(autouse=True)
def no_choice_of_cards(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("CUDA_VISIBLE_DEVICES", raising=False)


def test_each_card_is_a_device() -> None:
    first, second = devices(nvml=FakeNvml())
    assert (first.kind, first.name, first.memory_bytes, first.uuid) == ("gpu", "NVIDIA T0", 16_000_000_000, "GPU-0")
    assert second.uuid == "GPU-1"


def test_a_card_tells_its_load() -> None:
    driver = FakeNvml()
    one = load(devices(nvml=driver), nvml=driver).devices[1]
    assert (one.percent, one.memory_used_bytes, one.temperature_celsius, one.power_watts) == (41, 4e9, 61, 70.5)


@pytest.mark.parametrize(
    ("question", "untold"),
    [("nvmlDeviceGetName", []), ("nvmlDeviceGetUtilizationRates", ["percent"]),
     ("nvmlDeviceGetMemoryInfo", ["memory_used_bytes"]), ("nvmlDeviceGetTemperature", ["temperature_celsius"]),
     ("nvmlDeviceGetPowerUsage", ["power_watts"])],
)  # fmt: skip
def test_a_question_that_is_not_supported_costs_only_its_figure(question: str, untold: list[str]) -> None:
    driver = FakeNvml(silent=(question,))
    found = devices(nvml=driver)
    assert len(found) == 2 and all(device.memory_bytes > 0 and device.name for device in found)
    told = load(found, nvml=driver).devices[0].model_dump()
    assert [name for name, value in told.items() if value is None] == untold


def test_a_card_without_a_uuid_is_a_device_without_figures() -> None:
    driver = FakeNvml(silent=("nvmlDeviceGetUUID",))
    found = devices(nvml=driver)
    assert [device.uuid for device in found] == ["", ""]
    assert load(found, nvml=driver).devices[0].percent is None


@pytest.mark.parametrize(
    "driver", [FakeNvml(0), FakeNvml(silent=("nvmlInit",)), FakeNvml(silent=("nvmlDeviceGetCount",)), None]
)
def test_without_driver_or_card_it_is_the_processor(driver: FakeNvml | None) -> None:
    (device,) = devices(nvml=driver) if driver else devices()
    assert device.kind == "cpu" and device.name
    assert 0 < device.memory_bytes <= psutil.virtual_memory().total
    assert device.cores == len(os.sched_getaffinity(0))
    assert 0 < device.threads <= device.cores
    (one,) = load([device]).devices
    assert one.percent is not None and 0 <= one.percent <= 100
    assert one.memory_used_bytes is not None and 0 < one.memory_used_bytes < device.memory_bytes


@pytest.mark.parametrize(("told", "threads"), [("3", 3), ("0", None), ("many", None), ("", None)])
def test_threads_are_those_the_environment_allows(
    told: str, threads: int | None, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("OMP_NUM_THREADS", told)
    (device,) = devices(nvml=FakeNvml(0))
    most = min(device.cores, psutil.cpu_count(logical=False) or device.cores)
    assert device.threads == (threads or most)


def test_a_card_that_fell_off_the_bus_tells_nothing() -> None:
    found = devices(nvml=FakeNvml())
    gone = FakeNvml(silent=("nvmlDeviceGetHandleByUUID",))
    assert load(found, nvml=gone).devices[0].percent is None


@pytest.mark.parametrize(
    ("chosen", "seen"),
    [("1", ["GPU-1"]), ("1,0", ["GPU-1", "GPU-0"]), (" 0 , 1 ", ["GPU-0", "GPU-1"]), ("GPU-1", ["GPU-1"]),
     ("0,7,1", ["GPU-0"]), ("", []), ("-1", []), ("NoDevFiles", []), ("GPU-", [])],
)  # fmt: skip
def test_cuda_visible_devices_is_heeded(monkeypatch: pytest.MonkeyPatch, chosen: str, seen: list[str]) -> None:
    monkeypatch.setenv("CUDA_VISIBLE_DEVICES", chosen)
    assert [device.uuid for device in devices(nvml=FakeNvml()) if device.kind == "gpu"] == seen


def test_free_disk_is_told_where_a_folder_is_given(tmp_path: Path) -> None:
    assert (load([], data_dir=tmp_path).disk_free_bytes or 0) > 0
    assert load([], data_dir=tmp_path / "gone").disk_free_bytes is None


@pytest.mark.parametrize("name", ["memory.max", "memory/memory.limit_in_bytes"])
def test_a_container_s_limit_counts_if_it_is_the_lower_one(tmp_path: Path, name: str) -> None:
    physical = psutil.virtual_memory().total
    (tmp_path / name).parent.mkdir(exist_ok=True)
    for text, limit in (("1000000", 1_000_000), ("max", physical), (str(2**63 - 4096), physical)):
        (tmp_path / name).write_text(text + "\n")
        assert memory_limit_bytes(tmp_path) == limit


def test_within_a_limit_kept_files_are_not_use(tmp_path: Path) -> None:
    (tmp_path / "memory.current").write_text("900000\n")
    (tmp_path / "memory.stat").write_text("anon 500000\ninactive_file 400000\n")
    assert memory_used_bytes(1_000_000, tmp_path) == 500_000


def test_looking_loads_no_torch() -> None:
    code = (
        "import sys, worker.devices as d; d.load(d.devices()); print('torch' in sys.modules, 'django' in sys.modules)"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.split() == ["False", "False"]
