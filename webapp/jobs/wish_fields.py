"""The fields of “How it is queued and run”: what was sent, as wishes, and what is wrong with it."""

from collections.abc import Callable, Mapping

from webapp.contract.methods import Knob
from webapp.jobs.knob_text import is_auto, knob_text, knob_value
from webapp.jobs.models import Job, Priority
from webapp.jobs.placing import too_many_processes
from webapp.jobs.wishes import Wishes
from webapp.workers.models import Worker
from webapp.workers.rules import Refused, labels_read

LONGEST_HOURS = 8760
_GB = 1_000_000_000

MEMORY = Knob(
    name="memory_gb", label="Memory at least", kind="float", low=0.1, high=10_000,
    sentence="In GB. Only a worker whose largest device has this much takes the job.",
)  # fmt: skip
TIME_LIMIT = Knob(
    name="time_limit_hours", label="Time limit", kind="float", low=0.01, high=LONGEST_HOURS,
    sentence="In hours, of training without the waiting. At the limit it saves a checkpoint and stops as failed.",
)  # fmt: skip
PROCESSES = Knob(
    name="num_processes", label="GPUs for this job", kind="int", low=1, high=8,
    sentence="So many cards of one worker share the rows of each step; what is learnt stays the same. On a worker "
             "without cards, two processes can share its processor: to try it, not to save time.",
)  # fmt: skip
WISHES = ("priority", "needs_labels", PROCESSES.name, MEMORY.name, TIME_LIMIT.name)

AddError = Callable[[str, str], None]


def wishes_read(sent: Mapping[str, object], add_error: AddError, *, is_staff: bool) -> Wishes:
    """What cannot be read is told to `add_error` (field, message) and left out."""
    memory, hours = (_number(knob, sent, add_error) for knob in (MEMORY, TIME_LIMIT))
    return Wishes(
        priority=_priority(sent.get("priority"), add_error, is_staff=is_staff),
        needs_labels=_labels(sent.get("needs_labels"), add_error),
        needs_memory_bytes=round(memory * _GB),
        time_limit_seconds=round(hours * 3600),
        num_processes=_processes(sent, add_error),
    )


def wishes_of(job: Job) -> Wishes:
    return Wishes(
        Priority(job.priority), job.needs_labels, job.needs_memory_bytes, job.time_limit_seconds, job.num_processes
    )


def fields_of(wishes: Wishes, *, is_staff: bool) -> dict[str, object]:
    """The fields that lead to these wishes again; high priority only for those who may give it."""
    fields: dict[str, object] = {}
    if wishes.priority != Priority.NORMAL and (is_staff or wishes.priority != Priority.HIGH):
        fields["priority"] = wishes.priority.name.lower()
    if wishes.needs_labels:
        fields["needs_labels"] = ", ".join(wishes.needs_labels)
    if wishes.num_processes != 1:
        fields[PROCESSES.name] = str(wishes.num_processes)
    if wishes.needs_memory_bytes:
        fields[MEMORY.name] = knob_text(MEMORY, wishes.needs_memory_bytes / _GB)
    if wishes.time_limit_seconds:
        fields[TIME_LIMIT.name] = knob_text(TIME_LIMIT, wishes.time_limit_seconds / 3600)
    return fields


def wish_words(wishes: Wishes) -> list[tuple[str, str]]:
    """Each wish that is not the usual, as its name and what is wished."""
    words = []
    if wishes.priority != Priority.NORMAL:
        words.append(("Priority", str(wishes.priority.label)))
    if wishes.needs_labels:
        words.append(("Needs the labels", ", ".join(wishes.needs_labels)))
    if wishes.num_processes != 1:
        words.append((PROCESSES.label, str(wishes.num_processes)))
    if wishes.needs_memory_bytes:
        words.append((MEMORY.label, f"{wishes.needs_memory_bytes / _GB:g} GB"))
    if wishes.time_limit_seconds:
        words.append((TIME_LIMIT.label, f"{wishes.time_limit_seconds / 3600:.4g} h"))
    return words


def _number(knob: Knob, sent: Mapping[str, object], add_error: AddError) -> float:
    """0 where nothing was asked for."""
    if is_auto(sent.get(knob.name)):
        return 0
    value = knob_value(knob, sent[knob.name])
    if problem := knob.problem_with(value):
        add_error(knob.name, problem)
    return float(value) if not problem and isinstance(value, int | float) else 0


def _processes(sent: Mapping[str, object], add_error: AddError) -> int:
    num = int(_number(PROCESSES, sent, add_error)) or 1
    if num > 1 and (problem := too_many_processes(num, Worker.objects.in_service())):
        add_error(PROCESSES.name, problem)
    return num


def _priority(sent: object, add_error: AddError, *, is_staff: bool) -> Priority:
    if is_auto(sent):
        return Priority.NORMAL
    word = sent.strip().upper() if isinstance(sent, str) else ""
    if word not in Priority.names:
        add_error("priority", "Priority: choose one of low, normal, high.")
        return Priority.NORMAL
    if Priority[word] == Priority.HIGH and not is_staff:
        add_error("priority", "Priority: only an admin can give a job high priority. Choose normal or low.")
        return Priority.NORMAL
    return Priority[word]


def _labels(sent: object, add_error: AddError) -> list[str]:
    """Words with commas between; a script may send a list."""
    if is_auto(sent):
        return []
    words = sent.split(",") if isinstance(sent, str) else sent
    if not isinstance(words, list) or not all(isinstance(word, str) for word in words):
        add_error("needs_labels", "Needs labels: give words with commas between, as in fast, eu.")
        return []
    try:
        return labels_read(words)
    except Refused as error:
        add_error("needs_labels", f"Needs labels: {error}")
        return []
