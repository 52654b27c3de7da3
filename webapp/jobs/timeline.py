"""A job's events in sentences, for the timeline. What a chart shows better has none."""

from typing import Any, NamedTuple

from webapp.jobs.models import JobEvent, State
from webapp.shown import duration, megabytes, short_count

_ACTORS = {"person": "by hand", "reconciler": "by the reconciler"}
"""Who moved a job, where it was not the worker that had it."""


class Line(NamedTuple):
    """One entry of the timeline; `state` and `actor` are set where the job's state changed."""

    event: JobEvent
    text: str
    state: str
    actor: str


def timeline(events: list[JobEvent]) -> list[Line]:
    """The newest first."""
    return [
        Line(event, text, state_of(event), actor_of(event))
        for event in reversed(events)
        if (text := sentence_of(event))
    ]


def state_of(event: JobEvent) -> str:
    return str(event.data["to"]) if event.kind == "moved" else ""


def actor_of(event: JobEvent) -> str:
    """Empty for a worker's own moves, and for the beginning: whose job it is the page says already."""
    is_first = event.data.get("from") == ""
    return "" if event.kind != "moved" or is_first else _ACTORS.get(event.data.get("actor", ""), "")


def sentence_of(event: JobEvent) -> str:
    """Empty for what is not worth a line, and for kinds a newer version may have written."""
    data = event.data
    match event.kind:
        case "moved":
            return _move(State(data["to"]).label, data["reason"])
        case "phase_moved":
            return str(data["sentence"])
        case "started":
            return _start(data)
        case "evaluated":
            best = ", the best so far" if data["is_best"] else ""
            return f"Held-out loss {data['loss']:.4f} after step {data['step']}{best}."
        case "failed":
            return str(data["message"])
    return _keeping(event.kind, data)


def _keeping(kind: str, data: dict[str, Any]) -> str:
    """What is written to disk, and how training ends."""
    match kind:
        case "checkpoint_saved":
            return f"Checkpoint after step {data['step']}, {megabytes(data['size_bytes'])}."
        case "checkpoint_refused":
            return f"The checkpoint of step {data['step']} is damaged and was passed over: {data['reason']}"
        case "finished_early":
            why = "as asked" if data.get("why", "asked") == "asked" else "as the watched rows no longer got better"
            return f"Training ended after step {data['step']} of {data['total_steps']}, {why}."
        case "saved":
            return f"The adapter is saved, {megabytes(data['size_bytes'])}."
        case "finished":
            return f"Done: {duration(data['train_seconds'])} of training, {duration(data['total_seconds'])} in all."
        case "stopped":
            return f"Stopped after step {data['step']}."
        case "wait_policy_changed":
            return _waiting(data["policy"], data["cores_of_others"])
    return ""


def _waiting(policy: str, cores_of_others: float) -> str:
    if policy == "spin":
        return "The processor is this job's alone again, so its threads wait for each other spinning, which is quicker."
    return (
        f"Other programs are using {cores_of_others:g} of this machine's cores, so the job's threads sleep while they "
        "wait for each other. It trains more slowly meanwhile; the result is the same."
    )


def _move(label: str, reason: str) -> str:
    """“Paused. Paused, as asked.” would say it twice."""
    if not reason:
        return f"{label}."
    return reason if reason.startswith(label) else f"{label}. {reason}"


def _start(data: dict[str, Any]) -> str:
    rows = (
        f"{data['num_train_rows']} rows to train on, {data['num_validation_rows']} to watch, "
        f"{data['num_test_rows']} held out"
    )
    cut = f"; {data['num_truncated_rows']} were too long and were cut" if data["num_truncated_rows"] else ""
    trained = f"{short_count(data['trainable_params'])} of {short_count(data['total_params'])} parameters"
    resumed = data.get("resumed_step", 0)
    goes_on = f" Goes on from step {resumed}." if resumed else ""
    return f"Ready: {rows}{cut}. Training {trained} on {data['device']} in {data['precision']}.{goes_on}"
