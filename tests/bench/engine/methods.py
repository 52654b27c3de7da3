"""The other methods: where peft has them against a Trainer at its best, else against the loop one writes first."""

from functools import partial

from tests.bench.engine.lora import RAGGED, run_best_peer
from tests.bench.engine.race import Config, Race, run_ours, run_peer
from tests.bench.engine.turn import Part

NUM_STEPS = 6
OF_PEFT = ("prompt_tuning", "prefix_tuning", "ia3")
FIRST_WRITTEN = {"bottleneck": Config("bf16 weights"), "full": Config("bf16 autocast")}
"""Full fine-tuning keeps its weights in fp32, as ours does: small steps are lost in 16 bits."""


def _race(method: str, script: str) -> Race:
    return Race(RAGGED.rows, method, {}, num_steps=NUM_STEPS, script=script, is_judged=False)


PARTS = (
    *(
        Part(
            method,
            {
                "ours": partial(run_ours, _race(method, "train.py")),
                "best peer": partial(run_best_peer, _race(method, "train.py")),
            },
        )
        for method in OF_PEFT
    ),
    *(
        Part(
            method,
            {
                "ours": partial(run_ours, _race(method, "loop.py")),
                "loop": partial(run_peer, _race(method, "loop.py"), config),
            },
        )
        for method, config in FIRST_WRITTEN.items()
    ),
)
