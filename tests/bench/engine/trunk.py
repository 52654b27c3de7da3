"""Layer freezing: what lies below the last trained blocks never changes, so later epochs need not compute it again."""

from functools import partial
from math import ceil

from tests.bench.engine import ours
from tests.bench.engine.figures import WARM_UP_STEPS, Figures, differences
from tests.bench.engine.lora import RAGGED
from tests.bench.engine.race import NUM_WATCHED_AND_JUDGED, Race
from tests.bench.engine.turn import Part, Turn

EPOCHS = 3
FREEZING = Race(RAGGED.rows, "freezing", {"num_blocks": 4, "epochs": EPOCHS}, num_steps=8)


def run_epochs(race: Race, turn: Turn) -> Figures:
    """Seconds a token of the first epoch, without its first steps, and of all later ones."""
    rows = race.rows(race.num_train + NUM_WATCHED_AND_JUDGED)
    job_dir = ours.lay(turn.folder / "job", race.recipe(turn.seed), rows, num_train=race.num_train)
    events = ours.run(job_dir)
    steps = ours.steps_of(events)
    tokens = differences([step.tokens for _began, step in steps])
    spent = [(ceil(step.epoch), step.at - began, read) for (began, step), read in zip(steps, tokens, strict=True)]
    first = [one for one in spent if one[0] == 1][WARM_UP_STEPS:]
    later = [one for one in spent if one[0] > 1]
    return {
        "first": _seconds_a_token(first),
        "later": _seconds_a_token(later),
        "peak_memory_bytes": ours.cost_of(job_dir).peak_memory_bytes,
    }


def _seconds_a_token(spent: list[tuple[int, float, int]]) -> float:
    return sum(seconds for _epoch, seconds, _tokens in spent) / sum(tokens for _epoch, _seconds, tokens in spent)


PARTS = (Part("freezing", {"ours": partial(run_epochs, FREEZING)}),)
