"""The jobs and workers of one random history, as the database has them and as the model has them."""

from typing import Any
from uuid import UUID

import pytest

from tests.databases import empty_tables, spare_the_disk
from tests.factories import make_starter, make_user, make_version, make_worker
from tests.state_machine.model import ModelJob, ModelWorker
from webapp.adapters.models import Adapter, AdapterVersion
from webapp.jobs.models import Job
from webapp.jobs.services import AlreadyOver

NAMES = ("one", "two", "three")


class World:
    """`pages` are the jobs as people saw them last, which may be long ago."""

    def make_world(self) -> None:
        spare_the_disk()
        empty_tables()
        self.models: dict[UUID, ModelJob] = {}
        self.keys: dict[str, UUID] = {}
        self.workers = {name: ModelWorker(name) for name in NAMES}
        for name in NAMES:
            make_worker(name)
        self.owner = make_user("alice")
        self.version, self.base_model = make_version(self.owner), make_starter()
        self.pages: dict[UUID, Job] = {}

    def _accepted(self, job: Job) -> None:
        self.models[job.id], self.pages[job.id] = ModelJob(), Job.objects.get(id=job.id)

    def _any(self, pick: int) -> UUID:
        return list(self.models)[pick % len(self.models)]

    def _model_of(self, job: Job) -> tuple[ModelJob, bool]:
        model = self.models[job.id]
        return model, model.is_held_by(job.attempt)

    def _end(self, job: Job, moved: bool, how: str) -> None:
        model, is_mine = self._model_of(job)
        assert moved == is_mine
        if is_mine:
            getattr(model, how)()

    def _ask(self, verb: Any, job: Job, expected: Any) -> None:
        if expected():
            verb(job)
            return
        with pytest.raises(AlreadyOver):
            verb(job)

    def _keep_adapter(self, job: Job) -> None:
        adapter, _new = Adapter.objects.get_or_create(owner=self.owner, name=job.name)
        AdapterVersion.objects.create(
            adapter=adapter, number=adapter.versions.count() + 1, job=job, manifest={}, size_bytes=1, zip_bytes=1,
            zip_sha256="0",
        )  # fmt: skip
