"""The energy a GPU takes while it trains, where NVML counts it (Volta and later). A processor's is not told."""

from typing import Any

import pynvml
import torch

JOULES_A_WATT_HOUR = 3600.0


class EnergyMeter:
    """Counts from when it is made, on top of what earlier attempts took."""

    def __init__(self, before: float | None = None, *, nvml: Any = pynvml, uuid: str | None = None) -> None:
        self._nvml, self._before = nvml, before or 0.0
        self._uuid = uuid or _uuid_of_the_gpu()
        self._begin = self._joules()

    def watt_hours(self) -> float | None:
        now = self._joules()
        if self._begin is None or now is None:
            return None
        return self._before + (now - self._begin) / JOULES_A_WATT_HOUR

    def _joules(self) -> float | None:
        """Since the driver was loaded."""
        if self._uuid is None:
            return None
        try:
            self._nvml.nvmlInit()
            handle = self._nvml.nvmlDeviceGetHandleByUUID(self._uuid)
            return float(self._nvml.nvmlDeviceGetTotalEnergyConsumption(handle)) / 1000
        except pynvml.NVMLError:
            return None


def _uuid_of_the_gpu() -> str | None:
    if not torch.cuda.is_available():
        return None
    return f"GPU-{torch.cuda.get_device_properties(torch.cuda.current_device()).uuid}"
