"""A driver with two cards, as NVML's Python module shows it. What a card does not support raises, as NVML does."""

from types import SimpleNamespace
from typing import Any

NVML_TEMPERATURE_GPU = 0


class NVMLError(Exception):
    pass


class FakeNvml:
    """`silent`: names of questions that are not supported."""

    NVML_TEMPERATURE_GPU = NVML_TEMPERATURE_GPU

    def __init__(self, num_cards: int = 2, silent: tuple[str, ...] = ()) -> None:
        self.num_cards = num_cards
        self.silent = silent

    def __getattribute__(self, name: str) -> Any:
        if name.startswith("nvml") and name in self.silent:

            def refuse(*_words: Any) -> Any:
                raise NVMLError("Not Supported")

            return refuse
        return super().__getattribute__(name)

    def nvmlInit(self) -> None:
        pass

    def nvmlDeviceGetCount(self) -> int:
        return self.num_cards

    def nvmlDeviceGetHandleByIndex(self, index: int) -> int:
        return index

    def nvmlDeviceGetHandleByUUID(self, uuid: str) -> int:
        return int(uuid.removeprefix("GPU-"))

    def nvmlDeviceGetUUID(self, handle: int) -> str:
        return f"GPU-{handle}"

    def nvmlDeviceGetName(self, handle: int) -> bytes:
        return f"NVIDIA T{handle}".encode()

    def nvmlDeviceGetMemoryInfo(self, _handle: int) -> Any:
        return SimpleNamespace(total=16_000_000_000, used=4_000_000_000)

    def nvmlDeviceGetUtilizationRates(self, handle: int) -> Any:
        return SimpleNamespace(gpu=40 + handle)

    def nvmlDeviceGetTemperature(self, _handle: int, _sensor: int) -> int:
        return 61

    def nvmlDeviceGetPowerUsage(self, _handle: int) -> int:
        return 70_500
