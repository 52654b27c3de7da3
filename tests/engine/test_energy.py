"""The energy of a GPU, by a counter that NVML has and we have not."""

from typing import Any

import pynvml
import pytest

from worker.engine.energy import EnergyMeter


class Counter:
    """NVML of one card, whose counter runs on by so many millijoules a look."""

    def __init__(self, step: int, error: Exception | None = None) -> None:
        self.millijoules, self.step, self.error = 5_000_000, step, error

    def nvmlInit(self) -> None:
        if self.error:
            raise self.error

    def nvmlDeviceGetHandleByUUID(self, uuid: str) -> str:
        return uuid

    def nvmlDeviceGetTotalEnergyConsumption(self, _handle: Any) -> int:
        self.millijoules += self.step
        return self.millijoules


def test_energy_is_what_was_taken_since_the_beginning() -> None:
    meter = EnergyMeter(nvml=Counter(7_200_000), uuids=["GPU-1"])
    assert meter.watt_hours() == pytest.approx(2.0)
    assert meter.watt_hours() == pytest.approx(4.0)


def test_what_earlier_attempts_took_counts_as_well() -> None:
    assert EnergyMeter(1.5, nvml=Counter(3_600_000), uuids=["GPU-1"]).watt_hours() == pytest.approx(2.5)


def test_the_cards_of_one_job_are_added_up() -> None:
    assert EnergyMeter(nvml=Counter(3_600_000), uuids=["GPU-1", "GPU-2"]).watt_hours() == pytest.approx(4.0)


def test_without_a_gpu_or_its_driver_nothing_is_told() -> None:
    missing = Counter(1, pynvml.NVMLError(pynvml.NVML_ERROR_LIBRARY_NOT_FOUND))
    assert EnergyMeter(nvml=missing, uuids=["GPU-1"]).watt_hours() is None
    assert EnergyMeter(nvml=Counter(1)).watt_hours() is None
