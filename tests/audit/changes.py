"""For every address that changes something: a request that succeeds, and what shows that it did."""

import time
from collections.abc import Callable
from pathlib import Path
from typing import Any, NamedTuple

from django.contrib.auth.models import Group
from django.core.files.uploadedfile import SimpleUploadedFile
from django.test import Client
from django.urls import reverse

from tests.base_models_app.folders import make_folder
from tests.base_models_app.looks import asked_fetch, asked_look, make_look, make_model
from tests.conftest import signed_in
from tests.factories import make_job, make_version, make_worker
from tests.jobs.made import claim, fields_for, make_failed, make_running
from webapp.accounts.models import SignInLink, User
from webapp.accounts.services import sign_in_link_create
from webapp.base_models.models import BaseModel
from webapp.datasets.models import Dataset, DatasetVersion, Upload
from webapp.errands.models import Errand, State
from webapp.hub_tokens.models import HubToken
from webapp.hub_tokens.services import hub_token_set
from webapp.jobs.models import Job
from webapp.limits.models import InstallationLimits, PersonLimits
from webapp.webhooks.models import Notice, Webhook
from webapp.webhooks.services import notices_add, webhook_add
from webapp.workers.models import JoinToken, Worker
from webapp.workers.services import worker_add

PASSWORD = "seven lazy otters"


class Change(NamedTuple):
    """`send` makes the request; `seen` is what differs after it."""

    send: Callable[[], Any]
    seen: Callable[[], object]


def rows_of(*models: Any) -> Callable[[], object]:
    """All that stands in these tables."""
    return lambda: [list(model.objects.order_by("pk").values()) for model in models]


def sign_in(root: User, tmp: Path, name: str = "login") -> Change:
    root.set_password(PASSWORD)
    root.save()
    client = Client()
    fields = {"username": "root", "password": PASSWORD, "next": "/"}
    return Change(lambda: client.post(reverse(name), fields), lambda: "_auth_user_id" in client.session)


def admin_sign_in(root: User, tmp: Path) -> Change:
    return sign_in(root, tmp, "admin:login")


def sign_out(root: User, tmp: Path, name: str = "logout") -> Change:
    client = signed_in(root)
    return Change(lambda: client.post(reverse(name)), lambda: client.get("/").status_code)


def admin_sign_out(root: User, tmp: Path) -> Change:
    return sign_out(root, tmp, "admin:logout")


def welcome(root: User, tmp: Path) -> Change:
    url = reverse("welcome", args=[sign_in_link_create(root)])
    return Change(lambda: Client().post(url), rows_of(SignInLink))


def password(root: User, tmp: Path) -> Change:
    root.set_password(PASSWORD)
    root.save()
    new = "eight lazy otters"
    fields = {"old_password": PASSWORD, "new_password1": new, "new_password2": new}
    client = signed_in(root)
    return Change(lambda: client.post(reverse("account"), fields), rows_of(User))


def hub_token(root: User, tmp: Path) -> Change:
    return post(root, "hub-token", HubToken, fields={"token": "hf_" + "a" * 34})


def hub_token_delete(root: User, tmp: Path) -> Change:
    hub_token_set(root, "hf_" + "a" * 34)
    return post(root, "hub-token-delete", HubToken)


def sample(root: User, tmp: Path) -> Change:
    return post(root, "dataset-from-sample", Dataset, fields={"sample": "dates"})


def upload(root: User, tmp: Path) -> Change:
    client = signed_in(root)
    rows = "q,a\n" + "".join(f"q{number},a{number}\n" for number in range(20))

    def send() -> Any:
        return client.post(reverse("dataset-upload"), {"file": SimpleUploadedFile("rows.csv", rows.encode())})

    return Change(send, rows_of(Upload))


def uploaded(root: User, tmp: Path) -> Upload:
    assert upload(root, tmp).send().status_code == 302
    return Upload.objects.get()


def save(root: User, tmp: Path) -> Change:
    fields = {"name": "Mine", "input": "q", "output": "a"}
    return post(root, "upload-detail", Dataset, uploaded(root, tmp), fields=fields)


def discard(root: User, tmp: Path) -> Change:
    return post(root, "upload-discard", Upload, uploaded(root, tmp))


def remap(root: User, tmp: Path) -> Change:
    assert save(root, tmp).send().status_code == 302
    return post(root, "dataset-remap", DatasetVersion, Dataset.objects.get(), fields={"input": "a", "output": "q"})


def dataset_delete(root: User, tmp: Path) -> Change:
    return post(root, "dataset-delete", Dataset, make_version(root).dataset)


def look(root: User, tmp: Path) -> Change:
    return post(root, "base-model-add", Errand, fields={"hub_id": "acme/tiny", "revision": "main"})


def look_again(root: User, tmp: Path) -> Change:
    return post(root, "base-model-look-again", Errand, asked_look(root, state=State.FAILED))


def fetch(root: User, tmp: Path) -> Change:
    return post(root, "base-model-fetch", Errand, asked_look(root, make_look()))


def fetch_stop(root: User, tmp: Path) -> Change:
    return post(root, "base-model-fetch-stop", Errand, asked_fetch(root))


def fetch_retry(root: User, tmp: Path) -> Change:
    return post(root, "base-model-fetch-retry", Errand, asked_fetch(root, state=State.STOPPED))


def fetch_forget(root: User, tmp: Path) -> Change:
    return post(root, "base-model-fetch-forget", Errand, asked_fetch(root, state=State.STOPPED))


def register(root: User, tmp: Path) -> Change:
    folder = make_folder(tmp / "model")
    return post(root, "base-model-register", BaseModel, fields={"title": "Tiny", "folder": str(folder)})


def remove(root: User, tmp: Path) -> Change:
    return post(root, "base-model-remove", BaseModel, make_model(root))


def webhook(root: User, tmp: Path) -> Change:
    return post(root, "webhook-list", Webhook, fields={"url": "https://127.0.0.1/secret-path"})


def webhook_switch(root: User, tmp: Path) -> Change:
    hook = webhook_add(root, "https://127.0.0.1/secret-path")
    return post(root, "webhook-switch", Webhook, hook, fields={"is_on": "no"})


def webhook_delete(root: User, tmp: Path) -> Change:
    return post(root, "webhook-delete", Webhook, webhook_add(root, "https://127.0.0.1/secret-path"))


def notice_retry(root: User, tmp: Path) -> Change:
    hook = webhook_add(root, "https://127.0.0.1/secret-path")
    notices_add(root, "job.succeeded", {})
    Notice.objects.update(given_up_at=hook.created_at)
    return post(root, "notice-retry", Notice, Notice.objects.get())


def worker(root: User, tmp: Path) -> Change:
    return post(root, "worker-add", Worker, fields={"name": "box", "labels": "", "slots": ""})


def limits_person(root: User, tmp: Path) -> Change:
    return post(root, "limits-person", PersonLimits, root, fields={"queued_jobs": "5"})


def limits_everyone(root: User, tmp: Path) -> Change:
    return post(root, "limits-everyone", InstallationLimits, fields={"queued_jobs": "5"})


def worker_set(root: User, tmp: Path) -> Change:
    return post(root, "worker-detail", Worker, make_worker(), fields={"labels": "fast", "slots": "2"})


def worker_token(root: User, tmp: Path) -> Change:
    return post(root, "worker-token", JoinToken, make_worker())


def token_revoke(root: User, tmp: Path) -> Change:
    client, (box, _token) = signed_in(root), worker_add(name="box")
    url = reverse("join-token-revoke", args=[box.id, box.join_tokens.get().id])
    return Change(lambda: client.post(url), rows_of(JoinToken))


def worker_drain(root: User, tmp: Path) -> Change:
    client, box = signed_in(root), make_worker()
    return Change(lambda: client.post(reverse("worker-steer", args=[box.id, "drain"])), rows_of(Worker))


def job(root: User, tmp: Path) -> Change:
    return post(root, "job-new", Job, fields=fields_for(make_version(root)))


def job_cancel(root: User, tmp: Path) -> Change:
    return post(root, "job-cancel", Job, make_job(root))


def job_cancel_running(root: User, tmp: Path) -> Change:
    return post(root, "job-cancel", Job, make_running(root))


def job_pause(root: User, tmp: Path) -> Change:
    return post(root, "job-pause", Job, make_job(root))


def job_resume(root: User, tmp: Path) -> Change:
    return post(root, "job-resume", Job, make_job(root, state="paused"))


def job_keep(root: User, tmp: Path) -> Change:
    return post(root, "job-keep", Job, make_running(root))


def job_retry(root: User, tmp: Path) -> Change:
    return post(root, "job-retry", Job, make_failed(root, "data"))


def job_move_away(root: User, tmp: Path) -> Change:
    make_job(root)
    running = claim()
    make_worker("two")
    return post(root, "job-move-away", Job, running)


def job_priority(root: User, tmp: Path) -> Change:
    return post(root, "job-priority", Job, make_job(root), fields={"priority": "high"})


def job_move(root: User, tmp: Path) -> Change:
    make_job(root)
    return post(root, "job-move", Job, make_job(root), fields={"where": "front"})


def job_delete(root: User, tmp: Path) -> Change:
    return post(root, "job-delete", Job, make_failed(root, "data"))


def admin_add(root: User, tmp: Path) -> Change:
    return post(root, "admin:auth_group_add", Group, fields={"name": "People"})


def admin_disable(root: User, tmp: Path) -> Change:
    alice = User.objects.create(username="alice")
    fields = {"username": "alice", "date_joined_0": "2026-11-30", "date_joined_1": "10:00:00"}
    return post(root, "admin:accounts_user_change", User, alice, fields=fields)


CHANGES: dict[str, tuple[str, Callable[[User, Path], Change]]] = {
    "login": ("sign-in", sign_in),
    "admin:login": ("sign-in", admin_sign_in),
    "logout": ("sign-out", sign_out),
    "admin:logout": ("sign-out", admin_sign_out),
    "welcome": ("one-time-link.use", welcome),
    "account": ("password.change", password),
    "hub-token": ("hub-token.set", hub_token),
    "hub-token-delete": ("hub-token.delete", hub_token_delete),
    "dataset-from-sample": ("dataset.from-sample", sample),
    "dataset-upload": ("dataset.upload", upload),
    "upload-detail": ("dataset.save", save),
    "upload-discard": ("dataset.discard-upload", discard),
    "dataset-remap": ("dataset.save", remap),
    "dataset-delete": ("dataset.delete", dataset_delete),
    "base-model-add": ("base-model.look", look),
    "base-model-look-again": ("base-model.look", look_again),
    "base-model-fetch": ("base-model.fetch", fetch),
    "base-model-fetch-stop": ("base-model.fetch-stop", fetch_stop),
    "base-model-fetch-retry": ("base-model.fetch", fetch_retry),
    "base-model-fetch-forget": ("base-model.fetch-forget", fetch_forget),
    "base-model-register": ("base-model.register", register),
    "base-model-remove": ("base-model.remove", remove),
    "webhook-list": ("webhook.add", webhook),
    "webhook-switch": ("webhook.switch", webhook_switch),
    "webhook-delete": ("webhook.delete", webhook_delete),
    "notice-retry": ("webhook.retry", notice_retry),
    "limits-person": ("limits.set", limits_person),
    "limits-everyone": ("limits.set-for-everyone", limits_everyone),
    "worker-add": ("worker.add", worker),
    "worker-detail": ("worker.set", worker_set),
    "worker-token": ("join-token.make", worker_token),
    "join-token-revoke": ("join-token.revoke", token_revoke),
    "worker-steer": ("worker.drain", worker_drain),
    "job-new": ("job.create", job),
    "job-cancel": ("job.cancel", job_cancel),
    "job-cancel of a running job": ("job.cancel", job_cancel_running),
    "job-pause": ("job.pause", job_pause),
    "job-resume": ("job.resume", job_resume),
    "job-keep": ("job.stop-and-keep", job_keep),
    "job-retry": ("job.retry", job_retry),
    "job-move-away": ("job.move-away", job_move_away),
    "job-priority": ("job.priority", job_priority),
    "job-move": ("job.move-in-queue", job_move),
    "job-delete": ("job.delete", job_delete),
    "admin:auth_group_add": ("admin.add", admin_add),
    "admin:accounts_user_change": ("admin.change", admin_disable),
}
"""Address name -> action, and the change. `worker-join` and `webhook-test` have tests of their own."""


def post(root: User, name: str, model: Any, thing: Any = None, *, fields: dict[str, str] | None = None) -> Change:
    url = reverse(name, args=[thing.pk] if thing is not None else [])
    client = signed_in(root)

    def send() -> Any:
        """A mapping whose rows are still being checked is shown again, and nothing is saved yet."""
        deadline = time.monotonic() + 60
        while (answer := client.post(url, fields or {})).status_code == 200:
            assert time.monotonic() < deadline, answer.content[:2000]
            time.sleep(0.1)
        return answer

    return Change(send, rows_of(model))
