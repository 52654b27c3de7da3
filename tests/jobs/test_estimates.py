"""Before a start: whether it fits, how long it takes, and how finished jobs correct both."""

from typing import Any
from urllib.parse import parse_qsl, urlsplit

import pytest
from django.test import Client
from django.urls import reverse

from tests.contract.test_estimate import work as work_like
from tests.factories import make_job, make_recipe, make_starter, make_version, make_worker
from tests.jobs.made import STARTED, claim, fields_for, verdict_with
from webapp.accounts.models import User
from webapp.contract.devices import Device, DeviceLoad, Load
from webapp.contract.memory_estimate import memory_bytes
from webapp.contract.work import Kind, Work
from webapp.jobs.attempts import job_finalize, job_record
from webapp.jobs.calibration import Correction, Foretold, correction_for, foretold_of
from webapp.jobs.endings import job_succeed
from webapp.jobs.estimate_panel import EstimatePanel, estimate_panel
from webapp.jobs.estimates import estimate_now
from webapp.jobs.forms import JobForm
from webapp.jobs.models import Job
from webapp.jobs.placing import Needs
from webapp.jobs.smaller import offers
from webapp.workers.models import Intent

pytestmark = pytest.mark.django_db
MODEL = "smollm2-135m-instruct"
GB = 1_000_000_000


def panel_of(user: User, **changed: Any) -> EstimatePanel:
    form = JobForm(user, {**fields_for(make_version(user), **changed)}, is_draft=True)
    panel = estimate_panel(form)
    assert panel
    return panel


def cpu(memory_bytes: int) -> list[dict[str, Any]]:
    return [Device(kind="cpu", name="A processor", memory_bytes=memory_bytes, cores=8).model_dump()]


def finish(
    owner: User, times_memory: float, times_seconds: float, *, threads: int | None = None, flops: float = 0.0
) -> Job:
    """A job that took so many times what was foretold of it, on as many threads as that was foretold for."""
    job = make_job(owner)
    told = foretold_of(job)
    assert told
    assert claim().id == job.id
    job.refresh_from_db()
    ran_on = {"threads": told.threads if threads is None else threads, "flops_a_second": flops}
    job_record(job, [STARTED.model_copy(update=ran_on)])
    cost = verdict_with().cost.model_dump()
    tokens = round(told.mean_tokens * job.split["train"] * job.recipe.whole("epochs"))
    cost |= {"peak_memory_bytes": round(told.memory_bytes * times_memory), "tokens": tokens}
    cost |= {"total_seconds": told.seconds * times_seconds}
    assert job_finalize(job)
    assert job_succeed(job, verdict_with(cost=cost), also=lambda: None)
    return job


def test_each_worker_is_told_apart_by_its_memory(alice: User) -> None:
    needed = panel_of(alice).foretold.memory_bytes
    for name, share in (("large", 2), ("right", 1.1), ("small", 0.5)):
        make_worker(name, devices_json=cpu(round(needed * share)))
    fitting = {place.worker.name: place.fitting for place in panel_of(alice).places}
    assert fitting == {"large": "fits", "right": "tight", "small": "too_large"}


def test_what_others_hold_is_not_free_and_slots_share_a_processor(alice: User) -> None:
    load = Load(at=0, devices=(DeviceLoad(memory_used_bytes=6 * GB),)).model_dump()
    make_worker("one", devices_json=cpu(16 * GB), loads_json=[load], slots=2)
    (place,) = panel_of(alice).places
    assert place.memory_bytes == 5 * GB


def test_a_worker_without_a_known_device_is_left_out(alice: User) -> None:
    make_worker("new", devices_json=[])
    panel = panel_of(alice)
    assert panel.places == [] and panel.best is None and not panel.fits_nowhere


def test_a_paused_worker_is_not_where_it_would_run(alice: User) -> None:
    make_worker("idle", intent=Intent.PAUSED)
    make_worker("works", devices_json=cpu(1 * GB))
    best = panel_of(alice).best
    assert best and best.worker.name == "works"


def test_only_workers_that_may_take_it_are_considered(alice: User) -> None:
    make_worker("large", devices_json=cpu(64 * GB))
    make_worker("ours", devices_json=cpu(16 * GB), labels=["eu"])
    make_worker("small", devices_json=cpu(1 * GB), labels=["eu"])
    panel = panel_of(alice, needs_labels="eu", memory_gb="2")
    assert [place.worker.name for place in panel.places] == ["ours"]
    assert panel.best and panel.best.worker.name == "ours" and not panel.none_may
    nowhere = panel_of(alice, needs_labels="mars")
    assert nowhere.places == [] and nowhere.none_may and nowhere.ends_at is None


def test_slots_of_a_processor_share_its_threads(alice: User) -> None:
    told = []
    for slots in (1, 2, 16):
        make_worker(f"of-{slots}", devices_json=cpu(64 * GB), slots=slots)
        told.append(next(one.foretold for one in panel_of(alice).places if one.worker.slots == slots))
    assert [one.threads for one in told] == [8, 4, 1]
    assert told[0].seconds < told[1].seconds < told[2].seconds
    alone = Device(kind="cpu", name="Two threads a core", memory_bytes=64 * GB, cores=8, threads=4).model_dump()
    make_worker("smt", devices_json=[alone])
    assert next(one.foretold.threads for one in panel_of(alice).places if one.worker.name == "smt") == 4


def test_what_a_worker_s_processor_was_measured_to_do_counts(alice: User) -> None:
    for name, flops in (("slow", 5e10), ("fast", 2e12)):
        (device,) = cpu(64 * GB)
        make_worker(name, devices_json=[{**device, "flops_a_second": flops}])
    told = {place.worker.name: place.foretold for place in panel_of(alice).places}
    assert told["fast"].hardware.flops_a_second == 2e12
    assert told["fast"].seconds < told["slow"].seconds / 2


def test_what_is_kept_with_a_job_is_foretold_for_a_worker_that_may_take_it(alice: User) -> None:
    card = Device(kind="gpu", name="A card", memory_bytes=80 * GB).model_dump()
    make_worker("card", devices_json=[card])
    make_worker("ours", devices_json=cpu(16 * GB), labels=["eu"])
    told = [estimate_now(make_version(alice), make_starter(), make_recipe(), Needs(labels)) for labels in ([], ["eu"])]
    assert [one and one.kind for one in told] == ["gpu", "cpu"]


def test_every_offer_really_fits(alice: User) -> None:
    version = make_version(alice)
    version.stats = {"lengths": {"input": {"mean": 900, "longest": 7000}, "output": {"mean": 20, "longest": 40}}}
    version.save()
    fields = fields_for(version)
    needed = estimate_panel(JobForm(alice, fields, is_draft=True))
    assert needed
    make_worker(devices_json=cpu(round(needed.foretold.memory_bytes * 0.7)))
    panel = estimate_panel(JobForm(alice, fields, is_draft=True))
    assert panel and panel.fits_nowhere and panel.offers
    for offer in panel.offers:
        after = estimate_panel(JobForm(alice, _fields_of(offer.url), is_draft=True))
        assert after and after.best and after.best.fitting == "fits", offer


def test_it_can_be_kept_off_workers_that_are_too_small(alice: User) -> None:
    needed = panel_of(alice).foretold.memory_bytes
    make_worker("large", devices_json=cpu(2 * needed))
    assert panel_of(alice).only_where_it_fits == ""
    make_worker("small", devices_json=cpu(needed // 2))
    wished = JobForm(alice, _fields_of(panel_of(alice).only_where_it_fits), is_draft=True).wishes
    assert needed // 2 < wished.needs_memory_bytes <= 2 * needed


def test_lora_is_offered_instead_of_full_fine_tuning(alice: User) -> None:
    make_worker(devices_json=cpu(round(panel_of(alice).foretold.memory_bytes * 1.3)))
    panel = panel_of(alice, method="full")
    assert panel.full is None
    assert "LoRA instead of Full fine-tuning" in [offer.sentence for offer in panel.offers]


def test_8_bits_are_offered_for_full_fine_tuning_once() -> None:
    def offered(work: Work) -> list[str]:
        needed = memory_bytes(work, "cpu")
        return [offer.sentence for offer in offers(work, lambda less: memory_bytes(less, "cpu") < needed, {}, {})]

    sentence = "Optimizer: adamw → adamw_8bit"
    assert sentence in offered(work_like("full"))
    assert sentence not in offered(work_like("full", knobs={"optimizer": "adamw_8bit"}))
    assert sentence not in offered(work_like("lora"))


def test_nothing_is_offered_where_nothing_helps(alice: User) -> None:
    make_worker(devices_json=cpu(GB // 10))
    panel = panel_of(alice)
    assert panel.fits_nowhere and panel.offers == []


def test_finished_jobs_move_the_estimate_to_what_they_measured(alice: User) -> None:
    make_worker()
    before = panel_of(alice).foretold
    assert before.num_jobs == 0 and before.seconds_error is None
    finish(alice, 2.0, 3.0)
    after = panel_of(alice).foretold
    assert after.num_jobs == 1
    assert after.memory_bytes == pytest.approx(2 * before.memory_bytes, rel=0.01)
    assert after.seconds == pytest.approx(3 * before.seconds, rel=0.01)


def test_the_error_is_that_of_earlier_estimates(alice: User) -> None:
    for times in (1.0, 1.5, 1.5):
        finish(alice, times, times)
    correction = correction_for(MODEL, "lora", "cpu")
    assert correction.num_jobs == 3
    assert correction.seconds_error == pytest.approx(0.5) == correction.memory_error


@pytest.mark.parametrize(
    ("model", "method", "kind", "num_jobs"),
    [(MODEL, "lora", "cpu", 1), (MODEL, "ia3", "cpu", 1), ("other", "lora", "cpu", 1), (MODEL, "lora", "gpu", 0)],
)
def test_the_nearest_finished_jobs_are_asked(alice: User, model: str, method: str, kind: Kind, num_jobs: int) -> None:
    finish(alice, 2.0, 2.0)
    assert correction_for(model, method, kind).num_jobs == num_jobs


def test_jobs_of_older_versions_correct_nothing(alice: User) -> None:
    job = finish(alice, 2.0, 2.0)
    Job.objects.filter(id=job.id).update(estimate_json=None)
    assert correction_for(MODEL, "lora", "cpu") == Correction()


def test_a_job_is_held_against_the_threads_it_ran_on(alice: User) -> None:
    finish(alice, 1.0, 1.0, threads=8)  # nobody was online, so one was foretold
    correction = correction_for(MODEL, "lora", "cpu")
    assert correction.memory == pytest.approx(1.0)
    assert correction.seconds > 1.5


def test_a_job_is_held_against_how_fast_its_processor_was(alice: User) -> None:
    finish(alice, 1.0, 1.0, flops=1e13)  # nobody was online, so a slow one was foretold
    assert correction_for(MODEL, "lora", "cpu").seconds > 1.5


def test_one_that_did_not_measure_is_held_against_what_it_was_foretold_for(alice: User) -> None:
    (device,) = cpu(64 * GB)
    make_worker(devices_json=[{**device, "flops_a_second": 1e13}])
    finish(alice, 1.0, 1.0)
    assert correction_for(MODEL, "lora", "cpu").seconds == pytest.approx(1.0)


def test_a_job_of_which_no_threads_are_known_corrects_nothing(alice: User) -> None:
    finish(alice, 2.0, 2.0, threads=0)
    assert correction_for(MODEL, "lora", "cpu") == Correction()


def test_a_wrong_setting_has_no_estimate(alice: User) -> None:
    fields = fields_for(make_version(alice), batch_size="many")
    assert estimate_panel(JobForm(alice, fields, is_draft=True)) is None


def test_the_review_says_what_it_will_take(alice: User, alice_client: Client) -> None:
    make_worker("tower")
    page = alice_client.get(reverse("job-new"), fields_for(make_version(alice))).content.decode()
    assert "Starts now, ends about" in page
    assert "A rough guess" in page
    assert 'id="fits"' in page and "tower" in page and 'id="against-full"' in page
    finish(alice, 1.0, 1.0)
    page = alice_client.get(reverse("job-new"), fields_for(make_version(alice))).content.decode()
    assert "Time is usually within ±0.0 %" in page


def test_a_job_that_fits_nowhere_is_warned_of_and_accepted(alice: User, alice_client: Client) -> None:
    make_worker(devices_json=cpu(GB // 10))
    fields = fields_for(make_version(alice))
    assert b'id="fits-nowhere"' in alice_client.get(reverse("job-new"), fields).content
    assert alice_client.post(reverse("job-new"), fields).status_code == 302
    assert Job.objects.get().needs_memory_bytes == 0


def test_without_workers_the_need_is_told(alice: User, alice_client: Client) -> None:
    page = alice_client.get(reverse("job-new"), fields_for(make_version(alice))).content
    assert b"No worker is online to compare with" in page


def test_the_job_page_holds_the_estimate_against_what_it_took(alice: User, alice_client: Client) -> None:
    job = finish(alice, 1.0, 1.0)
    page = alice_client.get(reverse("job-detail", args=[job.id])).content.decode()
    assert 'id="was-estimated"' in page and "; took " in page


def test_an_estimate_that_cannot_be_read_is_none(alice: User) -> None:
    job = make_job(alice)
    assert isinstance(foretold_of(job), Foretold)
    job.estimate_json = {"seconds": "soon"}
    assert foretold_of(job) is None


def _fields_of(url: str) -> dict[str, str]:
    return dict(parse_qsl(urlsplit(url).query))
