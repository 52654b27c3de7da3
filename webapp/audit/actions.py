"""Which addresses leave an entry in the audit log, and under which name. A test walks the URLconf: an address that
takes POST and stands in none of these tables fails the build."""

from typing import NamedTuple

from django.urls import ResolverMatch


class Action(NamedTuple):
    name: str
    keeps_own_transactions: bool = False


IN_ONE_TRANSACTION = {
    "logout": "sign-out",
    "admin:logout": "sign-out",
    "hub-token": "hub-token.set",
    "hub-token-delete": "hub-token.delete",
    "dataset-from-sample": "dataset.from-sample",
    "base-model-add": "base-model.look",
    "base-model-look-again": "base-model.look",
    "base-model-fetch": "base-model.fetch",
    "base-model-fetch-stop": "base-model.fetch-stop",
    "base-model-fetch-retry": "base-model.fetch",
    "webhook-list": "webhook.add",
    "webhook-switch": "webhook.switch",
    "webhook-delete": "webhook.delete",
    "notice-retry": "webhook.retry",
    "limits-person": "limits.set",
    "limits-everyone": "limits.set-for-everyone",
    "worker-add": "worker.add",
    "worker-detail": "worker.set",
    "worker-token": "join-token.make",
    "join-token-revoke": "join-token.revoke",
    "worker-steer": "worker.{verb}",
}
"""Address name -> action. The middleware runs these views in one transaction that ends with the entry."""

KEEPS_OWN_TRANSACTIONS = {
    # Hashing a password takes long, and SQLite has one writer; a try is counted whatever becomes of the request.
    "login": "sign-in",
    "admin:login": "sign-in",
    "welcome": "one-time-link.use",
    "account": "password.change",
    "worker-join": "worker.join",
    # These read, copy or remove files, call other machines, or try their transaction again if the database falters.
    "dataset-upload": "dataset.upload",
    "upload-detail": "dataset.save",
    "upload-discard": "dataset.discard-upload",
    "dataset-remap": "dataset.save",
    "dataset-delete": "dataset.delete",
    "base-model-register": "base-model.register",
    "base-model-fetch-forget": "base-model.fetch-forget",
    "base-model-remove": "base-model.remove",
    "webhook-test": "webhook.test",
    "job-new": "job.create",
    "job-cancel": "job.cancel",
    "job-pause": "job.pause",
    "job-resume": "job.resume",
    "job-keep": "job.stop-and-keep",
    "job-retry": "job.retry",
    "job-move-away": "job.move-away",
    "job-priority": "job.priority",
    "job-move": "job.move-in-queue",
    "job-delete": "job.delete",
}
"""Address name -> action. Their services call `recording.settle`; what they refuse, the middleware writes."""

DOWNLOADS = {
    "adapter-download": "adapter.download",
    "dataset-download": "dataset.download",
    "job-report": "job.report",
    "audit-export": "audit.export",
}
"""Address name -> action. Requests that change nothing and still leave an entry, written before the first byte goes."""


def action_of(match: ResolverMatch, is_write: bool) -> Action | None:
    """None for a request that leaves no entry."""
    name = match.view_name
    if not is_write:
        return Action(DOWNLOADS[name]) if name in DOWNLOADS else None
    if name in KEEPS_OWN_TRANSACTIONS:
        return Action(KEEPS_OWN_TRANSACTIONS[name], keeps_own_transactions=True)
    if name in IN_ONE_TRANSACTION:
        return Action(IN_ONE_TRANSACTION[name].format(**match.kwargs))
    # Django's admin: "admin:jobs_job_changelist" is the action "admin.changelist" on the kind "jobs_job".
    return Action(f"admin.{name.rpartition('_')[2]}") if match.namespace == "admin" else None
