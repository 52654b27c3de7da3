"""The learning rate over time: pure functions of progress, no state."""

import math


def lr_multiplier(progress: float, *, schedule: str, warmup_ratio: float) -> float:
    """What the learning rate is multiplied with at `progress` (0 first step .. 1 end): climbs, then falls to 0."""
    if progress < warmup_ratio:
        return progress / warmup_ratio
    after = (progress - warmup_ratio) / (1 - warmup_ratio)
    if schedule == "cosine":
        return 0.5 * (1 + math.cos(math.pi * after))
    return 1 - after if schedule == "linear" else 1.0


def step_multiplier(step: int, total_steps: int, *, schedule: str, warmup_ratio: float) -> float:
    """For step 1..total_steps, taken at the middle of the step so that neither the first nor the last is wasted."""
    return lr_multiplier((step - 0.5) / total_steps, schedule=schedule, warmup_ratio=warmup_ratio)
