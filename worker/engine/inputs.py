"""What the engine is told in the job's folder, each file an exact type or refused with all that is wrong."""

from pathlib import Path
from typing import NamedTuple, TypeVar

from pydantic import BaseModel, ValidationError

from webapp.contract.job_dir import FACTS, OPTIONS, RECIPE, Facts, Options
from webapp.contract.recipe import Recipe
from worker.engine.errors import TrainingError

Read = TypeVar("Read", bound=BaseModel)


class Inputs(NamedTuple):
    job_dir: Path
    recipe: Recipe
    facts: Facts
    options: Options


def read_inputs(job_dir: Path) -> Inputs:
    """Raises TrainingError."""
    return Inputs(job_dir, _read(job_dir / RECIPE, Recipe), _read(job_dir / FACTS, Facts), options_of(job_dir))


def options_of(job_dir: Path) -> Options:
    """Without options.json, as in a run by hand, all options are as they come. Raises TrainingError."""
    return _read(job_dir / OPTIONS, Options) if (job_dir / OPTIONS).exists() else Options()


def _read(path: Path, kind: type[Read]) -> Read:
    try:
        return kind.model_validate_json(path.read_bytes())
    except FileNotFoundError as error:
        raise TrainingError("data", f"{path.name} is missing from the job's folder. Start the job anew.") from error
    except ValidationError as error:
        wrong = " ".join(f"{'.'.join(map(str, one['loc']))} {one['msg']}".strip() for one in error.errors())
        message = f"{path.name} is refused: {wrong.replace('Value error, ', '')} Start a new job with this put right."
        raise TrainingError("data", message) from error
