"""The energy that a job takes of GPUs while it trains, where NVML counts it (Volta and later); of no processor."""

from collections.abc import Sequence
from typing import Any

import pynvml
import torch
import torch.distributed as dist

JOULES_A_WATT_HOUR = 3600.0


class EnergyMeter:
    """Counts from when it is made, on top of what earlier attempts took."""

    def __init__(self, before: float | None = None, *, nvml: Any = pynvml, uuids: Sequence[str] | None = None) -> None:
        self._nvml, self._before = nvml, before or 0.0
        self._uuids = _uuids_of_the_gpus() if uuids is None else uuids
        self._begin = self._joules()

    def watt_hours(self) -> float | None:
        now = self._joules()
        if self._begin is None or now is None:
            return None
        return self._before + (now - self._begin) / JOULES_A_WATT_HOUR

    def _joules(self) -> float | None:
        """Since the driver was loaded."""
        if not self._uuids:
            return None
        try:
            self._nvml.nvmlInit()
            handles = [self._nvml.nvmlDeviceGetHandleByUUID(uuid) for uuid in self._uuids]
            return sum(float(self._nvml.nvmlDeviceGetTotalEnergyConsumption(handle)) for handle in handles) / 1000
        except pynvml.NVMLError:
            return None


def _uuids_of_the_gpus() -> list[str]:
    """Of this process's card, or where there are several processes of each one's; none without."""
    if not torch.cuda.is_available():
        return []
    several = dist.is_available() and dist.is_initialized()
    cards = range(dist.get_world_size()) if several else [torch.cuda.current_device()]
    return [f"GPU-{torch.cuda.get_device_properties(card).uuid}" for card in cards]
