"""A job's events in sentences, for the timeline. What a chart shows better has none."""

from typing import NamedTuple

from webapp.jobs.models import JobEvent, State
from webapp.shown import duration, megabytes, short_count


class Line(NamedTuple):
    """One entry of the timeline; `state` is set where the job's state changed."""

    event: JobEvent
    text: str
    state: str


def timeline(events: list[JobEvent]) -> list[Line]:
    """The newest first."""
    return [Line(event, text, state_of(event)) for event in reversed(events) if (text := sentence_of(event))]


def state_of(event: JobEvent) -> str:
    return str(event.data["to"]) if event.kind == "moved" else ""


def sentence_of(event: JobEvent) -> str:
    """Empty for what is not worth a line, and for kinds a newer version may have written."""
    data = event.data
    match event.kind:
        case "moved":
            label, reason = State(data["to"]).label, data["reason"]
            return f"{label}." if reason in ("", f"{label}.") else f"{label}. {reason}"
        case "phase_moved":
            return str(data["sentence"])
        case "started":
            rows = (
                f"{data['num_train_rows']} rows to train on, {data['num_validation_rows']} to watch, "
                f"{data['num_test_rows']} held out"
            )
            cut = f"; {data['num_truncated_rows']} were too long and were cut" if data["num_truncated_rows"] else ""
            trained = f"{short_count(data['trainable_params'])} of {short_count(data['total_params'])} parameters"
            return f"Ready: {rows}{cut}. Training {trained} on {data['device']} in {data['precision']}."
        case "evaluated":
            best = ", the best so far" if data["is_best"] else ""
            return f"Held-out loss {data['loss']:.4f} after step {data['step']}{best}."
        case "saved":
            return f"The adapter is saved, {megabytes(data['size_bytes'])}."
        case "finished":
            return f"Done: {duration(data['train_seconds'])} of training, {duration(data['total_seconds'])} in all."
        case "stopped":
            return f"Stopped after step {data['step']}."
        case "failed":
            return str(data["message"])
    return ""
