"""Why a job can fail: a closed set of codes, each with its cause and what a person can change."""

from typing import Literal, NamedTuple

EngineFailure = Literal[
    "data", "template", "loss_not_finite", "out_of_memory", "base_model", "start_adapter", "worker_lacks",
    "storage_full", "our_bug",
]  # fmt: skip
"""What the engine itself can tell."""

FailureCode = Literal[
    "data",
    "template",
    "loss_not_finite",
    "out_of_memory",
    "base_model",
    "start_adapter",
    "worker_lacks",
    "storage_full",
    "our_bug",
    "stalled",
    "worker_lost",
    "crashed",
    "time_limit",
]
"""Those, and what only its supervisor can see."""


class FailureKind(NamedTuple):
    """`is_transient`: the same attempt may do better elsewhere or later, so it is tried again by itself."""

    title: str
    cause: str
    change: str
    is_transient: bool = False


FAILURES: dict[FailureCode, FailureKind] = {
    "data": FailureKind(
        "The rows cannot be trained on",
        "Something in the dataset does not fit the task or the base model.",
        "Mend the rows named below and start a new job from the new version.",
    ),
    "template": FailureKind(
        "The chat template cannot lay out the rows",
        "A base model brings a small program that writes a conversation down as one text. This one refuses these rows, "
        "or does not end.",
        "Choose another base model, or change the rows named below: their system message, or the order of the turns.",
    ),
    "loss_not_finite": FailureKind(
        "The loss was no longer a number",
        "The updates grew until the weights overflowed; most often the learning rate is too high.",
        "Lower the learning rate to a tenth.",
    ),
    "out_of_memory": FailureKind(
        "The memory ran out",
        "Rows, batch and base model together need more memory than the device has, also with half the micro-batch.",
        "Halve the batch size, then the longest row, or choose a smaller base model or a worker with more memory.",
    ),
    "base_model": FailureKind(
        "The base model cannot be used",
        "Its files are missing, damaged, not open to this installation (a gated model), or do not fit together.",
        "Read the message below, then fetch it anew, ask for access, or choose another base model.",
    ),
    "start_adapter": FailureKind(
        "The adapter to go on from cannot be used",
        "Its files are missing or damaged, or its base model is no longer the one that it was trained on.",
        "Continue from another version of it, or start from the base model.",
    ),
    "worker_lacks": FailureKind(
        "The worker cannot run this recipe",
        "A setting asks for a library that is not installed there, or for another kind of device.",
        "Change the setting named below, choose another worker, or ask an admin to install what is missing.",
    ),
    "storage_full": FailureKind(
        "The disk is full",
        "The data folder's disk has too little free space for checkpoints and adapter.",
        "Delete old jobs or adapters, or ask an admin for more space; then start it again.",
        is_transient=True,
    ),
    "stalled": FailureKind(
        "Training stood still",
        "The training process lived but made no progress for a long time.",
        "Start it again on another worker; if it stands still again, shorten the longest row.",
        is_transient=True,
    ),
    "worker_lost": FailureKind(
        "The worker was lost",
        "The machine or the worker process that ran the job vanished, several times without progress in between.",
        "Ask an admin to look at the worker, then start the job again: it goes on from its last checkpoint.",
        is_transient=True,
    ),
    "crashed": FailureKind(
        "The training process crashed",
        "It was ended from outside or by a fault in a library, several times without progress in between.",
        "Start it again on another worker; the evidence below shows the last signal.",
        is_transient=True,
    ),
    "time_limit": FailureKind(
        "The time limit was reached",
        "The job ran for as long as it was allowed to.",
        "Raise the time limit and go on from the last checkpoint, or train fewer epochs.",
    ),
    "our_bug": FailureKind(
        "Graftwork itself failed",
        "This is a mistake of ours, not of yours.",
        "Send the log to whoever runs this app. Trying again does no harm.",
    ),
}

MOST_CRASHES = 3
"""Without a new checkpoint in between; then the job stops with the reason."""
