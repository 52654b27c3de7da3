"""Training itself: the loop, from the first step, or the one after a checkpoint's, to the last."""

import math
import time
from collections.abc import Callable, Iterator
from typing import Literal

import torch

from webapp.contract.events import Evaluated, Event, FinishedEarly, Stepped
from worker.engine.batches import epoch_steps, token_budget
from worker.engine.errors import Stop, TrainingError
from worker.engine.figures import Figures, FiguresOnTheWay
from worker.engine.forward import Model, mixed_precision
from worker.engine.inputs import Inputs
from worker.engine.measure import mean_loss
from worker.engine.process_group import ALONE, ProcessGroup
from worker.engine.rows import JobRows
from worker.engine.schedule import step_multiplier
from worker.engine.shelf import Shelf
from worker.engine.stop import Asking
from worker.engine.training import Standing, Training, copy_of, peak_memory_bytes

LARGEST_GRADIENT_NORM = 1.0
ROWS_A_WATCHED_ROW = 3.3
"""Rows trained for each validation row measured: a forward pass costs a third, so watching stays under a tenth."""
LOOKS = 20
"""At least so many at the validation rows where there are many steps, so that one long epoch can end early as well."""


def steps_between_looks(steps_an_epoch: int, total_steps: int, validation_rows: int, batch_size: int) -> int:
    """Half an epoch, or a twentieth of all if that is shorter; longer where looking would cost too much."""
    wished = min(math.ceil(steps_an_epoch / 2), math.ceil(total_steps / LOOKS))
    return max(wished, math.ceil(ROWS_A_WATCHED_ROW * validation_rows / batch_size))


class Fit:
    """One training on its rows. `run` is the loop; the rest are the parts it names."""

    def __init__(
        self,
        training: Training,
        rows: JobRows,
        inputs: Inputs,
        *,
        shelf: Shelf,
        group: ProcessGroup = ALONE,
        wanted: Asking,
        report: Callable[[Event], None],
        forgetting: Callable[[Model, Standing], float | None] = lambda _model, _standing: None,
        seconds_after: Callable[[Standing], float] = lambda _standing: 0.0,
    ) -> None:
        """`forgetting`: how much worse the model is by now on general texts, or None where it is too soon to look
        again. `seconds_after`: expected for what follows training, by how fast it went so far."""
        self.training, self.standing = training, training.standing
        self.rows, self.validation, self.recipe = rows.train, rows.validation, inputs.recipe
        self.shelf, self.divisor, self.seconds_after = shelf, inputs.options.micro_batch_divisor, seconds_after
        self.group, self.wanted, self.report, self.forgetting = group, wanted, report, forgetting
        self.figures = FiguresOnTheWay(is_late=training.is_on_card)
        self.lr, self.batch_size = self.recipe.number("learning_rate"), self.recipe.whole("batch_size")
        self.steps_an_epoch = math.ceil(len(self.rows) / self.batch_size)
        self.total_steps = self.steps_an_epoch * self.recipe.whole("epochs")
        self.watch_every = steps_between_looks(
            self.steps_an_epoch, self.total_steps, len(self.validation), self.batch_size
        )

    def run(self) -> None:
        """Train to the last step, or until asked to end. The best weights, by validation loss, are in `training`.

        Raises TrainingError when the loss is not finite or the disk is full, Stop when asked to.
        """
        training, standing = self.training, self.standing
        budget = token_budget(self.rows.lengths, self.batch_size, divisor=self.divisor)
        began = time.monotonic() - standing.seconds
        for numbers in self._steps_left():
            if self._is_to_end():
                break
            # ---------------------------------------------------------------- one optimizer step
            step = standing.step + 1
            learning_rate = self.lr * self._multiplier(step)
            for group in training.optimizer.param_groups:
                group["lr"] = learning_rate
            loss = self.group.step_loss(training.model, self.rows, numbers, budget, step=step)
            norm = torch.nn.utils.clip_grad_norm_(training.trainable.values(), LARGEST_GRADIENT_NORM)
            tokens = standing.tokens + sum(self.rows.lengths[number] for number in numbers)
            arrived = self.figures.send(Figures(step, learning_rate, tokens), loss, norm)
            self._check(arrived)
            training.optimizer.step()
            training.optimizer.zero_grad(set_to_none=True)
            # ---------------------------------------------------------------- note and tell
            standing.step, standing.tokens = step, tokens
            standing.seconds = time.monotonic() - began
            standing.peak_memory_bytes = max(standing.peak_memory_bytes, peak_memory_bytes())
            self._tell(arrived)
            # ---------------------------------------------------------------- once in a while: watch, save
            if step % self.watch_every == 0 or step == self.total_steps:
                self._watch()
            if self.shelf.is_due(step) and self.wanted() == "go_on":
                self._save()  # else the end that is asked for decides whether this step is saved
        standing.seconds = time.monotonic() - began
        self._end()

    def _steps_left(self) -> Iterator[list[int]]:
        """The row numbers of each step that is not done yet."""
        first_epoch, done = divmod(self.standing.step, self.steps_an_epoch)
        for epoch in range(first_epoch, self.recipe.whole("epochs")):
            steps = epoch_steps(self.rows.lengths, self.batch_size, seed=self.recipe.seed, epoch=epoch)
            yield from steps[done:]
            done = 0

    def _is_to_end(self) -> bool:
        """Between two steps: whether what is there shall be kept as it is. Raises Stop."""
        wanted = self.wanted()
        if wanted == "stop":
            self._save()
        if wanted in ("stop", "cancel"):
            raise Stop(self.standing.step)
        return (wanted == "keep" and self.standing.step > 0) or self._no_longer_improves()

    def _no_longer_improves(self) -> bool:
        patience = self.recipe.whole("patience")
        return 0 < patience <= self.standing.looks_without_better

    def _multiplier(self, step: int) -> float:
        schedule, warmup = str(self.recipe.knobs["schedule"]), self.recipe.number("warmup_ratio")
        return step_multiplier(step, self.total_steps, schedule=schedule, warmup_ratio=warmup)

    def _check(self, arrived: Figures | None) -> None:
        """Before the optimizer's step on a processor; on a card a step later, and before anything is kept of it."""
        if arrived is not None:
            _finite(arrived.loss, arrived.step, self.lr, is_start=arrived.step == 1)
            _finite(arrived.norm, arrived.step, self.lr)

    def _await_figures(self) -> None:
        arrived = self.figures.arrive()
        self._check(arrived)
        self._tell(arrived)

    def _tell(self, arrived: Figures | None) -> None:
        if arrived is None:
            return
        standing = self.standing
        self.report(
            Stepped(
                step=arrived.step,
                total_steps=self.total_steps,
                epoch=arrived.step / self.steps_an_epoch,
                loss=arrived.loss,
                learning_rate=arrived.learning_rate,
                tokens=arrived.tokens,
                tokens_per_second=standing.tokens / standing.seconds,
                seconds_left=standing.seconds / standing.step * (self.total_steps - standing.step)
                + self.seconds_after(standing),
                peak_memory_bytes=standing.peak_memory_bytes,
            )
        )

    def _watch(self) -> None:
        """Measure the validation rows, and take a copy of the weights if they never did better."""
        self._await_figures()
        standing = self.standing
        model = self.training.model
        if standing.watched_step < 0:
            self._watch_start()
        with mixed_precision(model):  # as in a step: trained blocks are fp32 until the end, those around them bf16
            held_out = self._held_out_loss(standing.step)
            forgetting = self.forgetting(model, standing)
        standing.looks_without_better += 1
        if held_out < standing.best_loss:
            standing.best_loss, standing.best_step, standing.looks_without_better = held_out, standing.step, 0
            self.training.best = copy_of(self.training.trainable)
        is_best = standing.best_step == standing.step
        epoch = standing.step / self.steps_an_epoch
        self.report(Evaluated(step=standing.step, epoch=epoch, loss=held_out, is_best=is_best, forgetting=forgetting))

    def _watch_start(self) -> None:
        """What every later look is compared with is looked at no sooner than that, so that the first step comes
        soon. Until then the best weights are those at the start."""
        with self.training.best_in_place(), mixed_precision(self.training.model):
            held_out = self._held_out_loss(0)
        self.standing.best_loss = held_out
        self.report(Evaluated(step=0, epoch=0, loss=held_out))

    def _held_out_loss(self, step: int) -> float:
        loss = mean_loss(self.training.model, self.validation, divisor=self.divisor)
        self.standing.held_out_loss, self.standing.watched_step = _finite(loss, step, self.lr, is_start=step == 0), step
        return loss

    def _save(self) -> None:
        self._await_figures()
        standing = self.standing
        standing.total_seconds = time.monotonic() - self.training.began
        standing.energy_wh = self.training.energy.watt_hours()
        self.shelf.save(self.training, total_steps=self.total_steps, epoch=standing.step / self.steps_an_epoch)

    def _end(self) -> None:
        """What follows may take long; a checkpoint makes sure that nothing trained is lost by it."""
        if self.standing.watched_step != self.standing.step:
            self._watch()
        if self.standing.step < self.total_steps:
            why: Literal["asked", "no_longer_improving"] = (
                "no_longer_improving" if self._no_longer_improves() else "asked"
            )
            self.report(FinishedEarly(step=self.standing.step, total_steps=self.total_steps, why=why))
        self._save()


def _finite(value: float, step: int, lr: float, *, is_start: bool = False) -> float:
    """A loss or a gradient's size, handed through; `is_start`: of weights that were not trained yet. Raises
    TrainingError if it is not a number."""
    if math.isfinite(value):
        return value
    if is_start:
        message = (
            "The base model's loss on your rows is not a number, before any training. Its weights are damaged or "
            "overflow; choose another base model, or fetch this one anew."
        )
        raise TrainingError("base_model", message, evidence=f"loss {value}")
    message = (
        f"The loss was no longer a number at step {step}, so training stopped before it could spoil the weights. "
        f"Lower the learning rate (now {lr:g}), to a tenth for a start."
    )
    raise TrainingError("loss_not_finite", message, evidence=f"step {step}: loss or gradient {value}")
