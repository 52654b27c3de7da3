"""What this machine computes on and how busy it is: NVIDIA cards by NVML, else the processor. Never imports torch."""

import os
import platform
import shutil
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import psutil
import pynvml

from webapp.contract.devices import Device, DeviceLoad, Load
from worker.memory_limit import memory_limit_bytes, memory_used_bytes


def devices(*, nvml: Any = pynvml) -> tuple[Device, ...]:
    """The cards this process may use, in the order CUDA gives them; without any, the processor."""
    cards = tuple(_card(nvml, handle) for handle in _visible(nvml, os.environ.get("CUDA_VISIBLE_DEVICES")))
    psutil.cpu_percent()  # The first answer means nothing: it counts from here.
    return cards or (_processor(),)


def load(found: Sequence[Device], *, data_dir: Path | None = None, nvml: Any = pynvml) -> Load:
    """Right now. What cannot be told is None; nothing here raises."""
    if any(device.kind == "gpu" for device in found):
        _ask(nvml.nvmlInit)
    loads = tuple(_card_load(nvml, device) if device.kind == "gpu" else _processor_load(device) for device in found)
    disk = _ask(shutil.disk_usage, data_dir) if data_dir else None
    return Load(at=time.time(), devices=loads, disk_free_bytes=disk.free if disk else None)


def num_cores() -> int:
    """Those this process may run on."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


def num_threads() -> int:
    """Those torch would take: what the environment says, else one a core, where two that share one count once."""
    told = os.environ.get("OMP_NUM_THREADS", "")
    if told.isdigit() and int(told):
        return int(told)
    cores = num_cores()
    return min(cores, psutil.cpu_count(logical=False) or cores)


def _visible(nvml: Any, chosen: str | None) -> list[Any]:
    """NVML's handles, narrowed by CUDA_VISIBLE_DEVICES as CUDA does it: the first entry it does not know ends the list.

    Its numbers are taken for NVML's; those are CUDA's too where CUDA_DEVICE_ORDER=PCI_BUS_ID or all cards are alike.
    """
    # Never shut down again: NVML counts its users, and starting a sleeping card for every look would be slow.
    if (chosen is not None and not chosen.strip()) or _ask(_start, nvml) is None:
        return []
    handles = [_ask(nvml.nvmlDeviceGetHandleByIndex, index) for index in range(_ask(nvml.nvmlDeviceGetCount) or 0)]
    if chosen is None:
        return [handle for handle in handles if handle is not None]
    seen = []
    for word in (word.strip() for word in chosen.split(",")):
        handle = _handle_of(nvml, word, handles)
        if handle is None:
            break
        seen.append(handle)
    return seen


def _start(nvml: Any) -> bool:
    nvml.nvmlInit()
    return True


def _handle_of(nvml: Any, word: str, handles: list[Any]) -> Any:
    if word.isdigit():
        return handles[int(word)] if int(word) < len(handles) else None
    found = [handle for handle in handles if handle is not None and word and _uuid(nvml, handle).startswith(word)]
    return found[0] if len(found) == 1 else None


def _card(nvml: Any, handle: Any) -> Device:
    memory = _ask(nvml.nvmlDeviceGetMemoryInfo, handle)
    return Device(
        kind="gpu",
        name=_text(_ask(nvml.nvmlDeviceGetName, handle)) or "NVIDIA GPU",
        # Cards that share the machine's memory have none of their own to tell.
        memory_bytes=memory.total if memory else memory_limit_bytes(),
        uuid=_uuid(nvml, handle),
    )


def _card_load(nvml: Any, device: Device) -> DeviceLoad:
    handle = _ask(nvml.nvmlDeviceGetHandleByUUID, device.uuid)
    if handle is None:
        return DeviceLoad()
    use = _ask(nvml.nvmlDeviceGetUtilizationRates, handle)
    memory = _ask(nvml.nvmlDeviceGetMemoryInfo, handle)
    power = _ask(nvml.nvmlDeviceGetPowerUsage, handle)
    return DeviceLoad(
        percent=use.gpu if use else None,
        memory_used_bytes=memory.used if memory else None,
        temperature_celsius=_ask(nvml.nvmlDeviceGetTemperature, handle, nvml.NVML_TEMPERATURE_GPU),
        power_watts=None if power is None else power / 1000,
    )


def _processor() -> Device:
    memory, cores, threads = memory_limit_bytes(), num_cores(), num_threads()
    return Device(kind="cpu", name=_processor_name(), memory_bytes=memory, cores=cores, threads=threads)


def _processor_load(device: Device) -> DeviceLoad:
    return DeviceLoad(percent=psutil.cpu_percent(), memory_used_bytes=memory_used_bytes(device.memory_bytes))


def _processor_name(cpuinfo: Path = Path("/proc/cpuinfo")) -> str:
    text = _ask(cpuinfo.read_text) or ""
    names = [
        line.split(":", 1)[1].strip() for line in text.splitlines() if line.startswith("model name") and ":" in line
    ]
    return (names[0] if names else "") or platform.processor() or platform.machine() or "Processor"


def _uuid(nvml: Any, handle: Any) -> str:
    return _text(_ask(nvml.nvmlDeviceGetUUID, handle))


def _text(answer: Any) -> str:
    """Older NVML bindings answer in bytes."""
    return answer.decode(errors="replace") if isinstance(answer, bytes) else answer or ""


def _ask(call: Callable[..., Any], *words: Any) -> Any:
    """The answer, or None: drivers refuse single questions in many ways, and no figure is worth a worker."""
    try:
        return call(*words)
    except Exception:
        return None
