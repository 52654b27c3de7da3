"""Pause, resume, stop and keep, retry with a fix, and one's own queue, in a browser on the real stack."""

import re
from pathlib import Path

import pytest
from playwright.sync_api import Page, expect
from safetensors.torch import load_file, save_file

from tests.browser.conftest import Watched
from tests.tiny import capitals, make_llama

TRAINING_MILLISECONDS = 120_000
JOB_URL = re.compile(r"/jobs/[0-9a-f-]{36}$")


def save(page: Page, path: Path, rows: list[tuple[str, str]]) -> str:
    """A dataset of these rows; its version's id."""
    path.write_text("text,answer\n" + "".join(f"{text},{answer}\n" for text, answer in rows))
    page.goto("/datasets/")
    page.locator("input[type=file]").set_input_files(path)
    upload = page.get_by_role("button", name="Upload")
    if upload.is_visible():
        upload.click()
    page.get_by_role("button", name="Save dataset").click()
    link = page.get_by_role("link", name="Train with this")
    expect(link).to_be_visible()
    return str(link.get_attribute("href")).partition("dataset=")[2]


@pytest.fixture
def dataset(page: Page, tmp_path: Path) -> str:
    """The id of sixty rows that a tiny model can train on."""
    return save(page, tmp_path / "capitals.csv", capitals())


def register(page: Page, folder: Path, title: str) -> None:
    page.goto("/models/register")
    page.get_by_label("Folder on this server").fill(str(folder))
    page.get_by_label("Title").fill(title)
    page.locator("main form button").click()
    page.get_by_text(f"{title} is registered").wait_for()


def start(page: Page, dataset: str, name: str, *, base_model: str = "tiny-llama", **knobs: str) -> str:
    """A job from the form; returns its page's address."""
    fields = {"dataset": dataset, "task": "generate", "base_model": base_model, "method": "lora", "name": name, **knobs}
    page.goto("/jobs/new?" + "&".join(f"{field}={value}" for field, value in fields.items()))
    page.get_by_role("button", name="Start training").click()
    page.wait_for_url(JOB_URL)
    return page.url


def say_yes(page: Page) -> None:
    page.on("dialog", lambda dialog: dialog.accept())


def expect_state(page: Page, state: str, *, timeout: int = TRAINING_MILLISECONDS) -> None:
    expect(page.locator("#job-top")).to_have_attribute("data-state", state, timeout=timeout)


def expect_to_fit(page: Page) -> None:
    """In light and dark, wide and narrow, nothing is wider than the window."""
    for scheme in ("light", "dark"):
        for width in (390, 1280):
            page.emulate_media(color_scheme=scheme)  # type: ignore[arg-type]
            page.set_viewport_size({"width": width, "height": 900})
            # A chart follows its box a moment after the window has changed.
            page.wait_for_function("width => document.documentElement.scrollWidth <= width", arg=width, timeout=10_000)


def test_a_job_is_paused_goes_on_and_is_kept_early(page: Page, dataset: str) -> None:
    say_yes(page)
    start(page, dataset, "A long one", epochs="100", batch_size="1", patience="0")
    expect(page.locator("#job-sentence")).to_contain_text("Training: step", timeout=TRAINING_MILLISECONDS)

    page.get_by_role("button", name="Pause", exact=True).click()
    expect_state(page, "paused")
    expect(page.locator("#job-top .state")).to_contain_text("Paused")
    expect(page.get_by_role("button", name="Resume from step").first).to_be_visible()
    expect_to_fit(page)

    page.get_by_role("button", name="Resume", exact=True).click()
    expect(page.locator("#job-sentence")).to_contain_text("Training: step", timeout=TRAINING_MILLISECONDS)
    expect(page.locator("#timeline")).to_contain_text("Goes on from step")
    expect(page.locator("#job-attempts")).to_contain_text("Handed back")
    expect_to_fit(page)

    page.get_by_role("button", name="Stop and keep").click()
    expect_state(page, "succeeded")
    expect(page.get_by_role("heading", name="Verdict")).to_be_visible()
    expect(page.locator("#timeline")).to_contain_text("Training ended after step")
    expect(page.get_by_role("link", name="Download adapter")).to_be_visible()
    expect_to_fit(page)


def test_a_failed_job_opens_the_form_with_the_fix(page: Page, dataset: str, tmp_path: Path) -> None:
    folder = make_llama(tmp_path / "steep-llama")
    weights = load_file(folder / "model.safetensors")
    weights["lm_head.weight"] *= 1e20  # its loss is a number yet, but the first gradient is none
    save_file(weights, folder / "model.safetensors", metadata={"format": "pt"})
    register(page, folder, "Steep Llama")
    start(page, dataset, "A steep one", base_model="steep-llama", learning_rate="0.01")
    expect_state(page, "failed")
    expect(page.get_by_role("heading", name="The loss was no longer a number")).to_be_visible()
    expect_to_fit(page)

    page.get_by_role("link", name="Retry with this fix").click()
    expect(page.locator("#id_learning_rate")).to_have_value("0.001")
    expect(page.locator("#id_name")).to_have_value("A steep one")
    expect_to_fit(page)


def test_own_jobs_are_moved_in_the_queue_and_wishes_are_seen(page: Page, dataset: str) -> None:
    wish = {"needs_labels": "nobody-has-this"}
    first, second = (start(page, dataset, name, **wish) for name in ("The first", "The second"))
    expect(page.locator("#job-sentence")).to_contain_text("Waiting for a worker with the label “nobody-has-this”")
    expect(page.locator("#job-top")).to_contain_text("Number 2 of your 2 waiting jobs")
    expect_to_fit(page)

    page.get_by_role("button", name="To the front").click()
    expect(page.locator("#job-top")).to_contain_text("Number 1 of your 2 waiting jobs")
    page.get_by_label("Priority").select_option("low")
    page.get_by_role("button", name="Set").click()
    expect(page.locator("main")).to_contain_text("Its priority is low now.")

    page.goto("/jobs/?state=queued")
    expect(page.locator("#jobs")).to_contain_text("1 before it")
    expect_to_fit(page)
    for url in (first, second):
        page.goto(url)
        say_yes(page)
        page.get_by_role("button", name="Cancel", exact=True).click()
        expect_state(page, "cancelled")


def test_a_resumed_attempt_draws_on_from_where_it_began(page: Page) -> None:
    """The page's own script, with a plot that only remembers what it was given."""
    page.goto("/help/")
    page.add_script_tag(url="/static/js/job_chart.js")
    drawn = page.evaluate("""() => new Promise((done) => {
        let columns = null;
        window.uPlot = function (_options, first) { columns = first; this.setData = (next) => { columns = next; }; };
        const chart = jobChart(document.createElement("div"), document.createElement("p"));
        const step = (step, loss) => chart.add({ kind: "stepped", data: { step, loss } });
        for (let number = 1; number <= 6; number += 1) step(number, 1);
        chart.keepUpTo(4);
        step(5, 2);
        requestAnimationFrame(() => requestAnimationFrame(() => done(columns)));
    })""")
    assert drawn[:2] == [[1, 2, 3, 4, 5], [1, 1, 1, 1, 2]]


def test_forgetting_gets_a_line_and_an_axis_once_it_is_measured(page: Page) -> None:
    page.goto("/help/")
    page.add_script_tag(url="/static/js/job_chart.js")
    drawn = page.evaluate("""() => new Promise((done) => {
        let columns = null, labels = null;
        window.uPlot = function (options, first) {
            labels = options.series.map((one) => one.label);
            columns = first;
            this.setData = (next) => { columns = next; };
            this.destroy = () => {};
        };
        const chart = jobChart(document.createElement("div"), document.createElement("p"));
        const look = (step, forgetting) => chart.add({ kind: "evaluated", data: { step, loss: 1, forgetting } });
        const found = [];
        const later = (next) => requestAnimationFrame(() => requestAnimationFrame(() => {
            found.push([labels.length, columns.length]);
            next();
        }));
        look(0, null);
        later(() => {
            look(4, 0.25);
            later(() => done([...found, labels[3], columns[3]]));
        });
    })""")
    assert drawn == [[3, 3], [4, 4], "Forgetting", [None, 0.25]]


def test_the_drawer_tells_what_is_wrong_beside_the_field(page: Page, watched: Watched, dataset: str) -> None:
    page.goto(f"/jobs/new?dataset={dataset}&base_model=tiny-llama&memory_gb=1")
    page.locator("#running > summary").click()
    page.get_by_label("Time limit").fill("soon")
    page.get_by_label("Time limit").blur()
    expect(page.locator("#id_time_limit_hours_error")).to_contain_text("must be a number")
    expect(page.locator("#step-review")).to_contain_text("1 GB")
    page.get_by_role("button", name="Start training").click()
    expect(page.locator("#wizard")).to_contain_text("Nothing was started.")
    watched.forgive(status=422)
