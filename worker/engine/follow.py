"""What every process of a job but the first does: ready the same model, then take part in each step until it is over.

Where there is dropout, its random numbers follow from seed, step and rank. So a job that goes on with as many processes
goes on as if undisturbed; with another number of them other places are dropped.
"""

import random
import shutil
from pathlib import Path

import torch

from webapp.contract.job_dir import BASE_MODEL
from worker.engine.inputs import read_inputs
from worker.engine.model import choose_place, load_base
from worker.engine.process_group import ProcessGroup, Say
from worker.engine.rows import CACHE, read_rows
from worker.engine.sharding import lend
from worker.engine.start import text_version_of, tokenizer_dir
from worker.engine.tokenizer import load_tokenizer
from worker.engine.train import build, quicken


def follow(job_dir: Path, group: ProcessGroup) -> None:
    """Returns when the first says that it is over. It writes nothing that stays."""
    recipe = read_inputs(job_dir).recipe
    torch.manual_seed(recipe.seed)
    place = choose_place(job_dir / BASE_MODEL, recipe.task)
    tokenizer = load_tokenizer(tokenizer_dir(job_dir, recipe), recipe.task, text_version_of(job_dir, recipe))
    cache = f"{CACHE}.{group.rank}"
    rows = read_rows(job_dir, recipe, tokenizer, cache=cache)
    is_quantised = recipe.knobs.get("quantised") == "4bit"
    base = load_base(job_dir / BASE_MODEL, recipe.task, group.loads_at(place), rows.labels, is_quantised=is_quantised)
    model, _untouched = build(base, recipe, job_dir, place)
    blocks = quicken(model, rows, recipe, job_dir / cache, place, group, lambda _event: None)
    while True:
        word, numbers = group.hear()
        if word == Say.STEP:
            step, budget, num_labels, *of_step = numbers
            torch.manual_seed(random.Random(f"{recipe.seed} {step} {group.rank}").getrandbits(63))
            group.take_part(model, rows.train, of_step, budget, num_labels)
        elif word == Say.LEND:
            lend(blocks[numbers[0]])
        else:
            group.leave()
            shutil.rmtree(job_dir / cache, ignore_errors=True)
            return
