"""What a worker computes on, and how busy it is. Sizes are bytes, shares are 0..100, powers watts."""

from typing import Literal

from pydantic import BaseModel, ConfigDict


class _Frozen(BaseModel):
    model_config = ConfigDict(frozen=True, extra="ignore")


class Device(_Frozen):
    """One GPU, or the processor with the machine's main memory."""

    kind: Literal["gpu", "cpu"]
    name: str
    memory_bytes: int
    uuid: str = ""
    """NVML's name for the card; empty for a processor."""
    cores: int = 0
    threads: int = 0
    """Of a processor: those that a training computes with where it has the processor to itself; 0: not told."""
    flops_a_second: float = 0.0
    """Of a processor: what products reach on one slot's threads, in the numbers that steps are taken in; 0: not
    measured."""


class DeviceLoad(_Frozen):
    """One device right now; None where the device does not tell."""

    percent: float | None = None
    memory_used_bytes: int | None = None
    temperature_celsius: float | None = None
    power_watts: float | None = None


class Load(_Frozen):
    """The whole worker at one moment (seconds since the epoch); `devices` in the order of the worker's devices."""

    at: float
    devices: tuple[DeviceLoad, ...] = ()
    disk_free_bytes: int | None = None
