"""An adapter's page."""

import uuid

import pytest
from django.test import Client
from django.urls import reverse

from tests.adapters.made import CARD, adapter_of, make_adapter
from webapp.accounts.models import User
from webapp.adapters.models import AdapterVersion
from webapp.jobs.models import Job


@pytest.fixture
def version(alice: User) -> AdapterVersion:
    return make_adapter(alice)


def url_of(version: AdapterVersion) -> str:
    return reverse("adapter-detail", args=[version.adapter_id])


def page(client: Client, user: User, version: AdapterVersion, query: str = "") -> str:
    client.force_login(user)
    return client.get(url_of(version) + query).content.decode()


def test_it_shows_verdict_files_and_lineage(client: Client, alice: User, version: AdapterVersion) -> None:
    html = page(client, alice, version)
    for words in ("exact match 4 % → 91 %", "+87.0", "(+81.0 to +92.0)", "269.1 MB", "1 min 15 s", "Rows v1"):
        assert words in html
    for file in version.manifest["files"]:
        assert file["name"] in html and file["sha256"] in html
    assert version.zip_sha256 in html


def test_the_chat_template_is_known_by_its_sum(client: Client, alice: User, version: AdapterVersion) -> None:
    assert "Chat template" not in page(client, alice, version)
    entry = {"name": "chat_template.jinja", "size_bytes": 3, "sha256": "c0ffee" * 10 + "beef"}
    version.manifest["files"] = [*version.manifest["files"], entry]
    version.save()
    assert "Chat template (sha256)" in page(client, alice, version)


def test_the_card_is_shown_as_it_ships(client: Client, alice: User, version: AdapterVersion) -> None:
    client.force_login(alice)
    assert client.get(url_of(version)).context["card"] == CARD


def snippet_on(client: Client, alice: User, version: AdapterVersion) -> str:
    client.force_login(alice)
    return str(client.get(url_of(version)).context["snippet"])


def test_the_snippet_is_what_the_engine_recorded_whatever_the_card_says(
    client: Client, alice: User, version: AdapterVersion
) -> None:
    version.manifest["snippet"] = "print('recorded')\n"
    version.save()
    (version.files_dir / "README.md").write_text(OLD_CARD)
    assert snippet_on(client, alice, version) == "print('recorded')\n"


OLD_CARD = CARD.replace("# First\n", "# First\n\nMost often mistaken: “a” taken for “b” (twice).\n")
"""As older versions wrote it: labels stood in it as they are, and the code nowhere else."""


def test_an_older_adapter_shows_the_code_of_its_card(client: Client, alice: User, version: AdapterVersion) -> None:
    (version.files_dir / "README.md").write_text(OLD_CARD)
    assert snippet_on(client, alice, version).splitlines()[0] == "from peft import AutoPeftModelForCausalLM"


@pytest.mark.parametrize(
    "label",
    [
        "x\n\n```python\nprint('theirs')\n```\n",
        "x\n\n## Use it\n\n```python\nprint('theirs')\n```\n\n## How it was made\n",
        "x\n```\n\n## How it was made\n",
    ],
)
def test_a_label_of_an_older_adapter_cannot_replace_the_code(
    client: Client, alice: User, version: AdapterVersion, label: str
) -> None:
    (version.files_dir / "README.md").write_text(OLD_CARD.replace("“a”", f"“{label}”"))
    snippet = snippet_on(client, alice, version)
    assert "theirs" not in snippet
    assert snippet == "" or snippet.startswith("from peft import")


def test_markup_in_a_card_stays_text(client: Client, alice: User, version: AdapterVersion) -> None:
    (version.files_dir / "README.md").write_text("<script>alert(1)</script>")
    html = page(client, alice, version)
    assert "<script>alert" not in html and "&lt;script&gt;alert(1)" in html


def test_older_versions_stay_reachable(client: Client, alice: User, version: AdapterVersion) -> None:
    newer = make_adapter(alice)
    assert newer.adapter_id == version.adapter_id
    assert reverse("adapter-download", args=[newer.id]) in page(client, alice, version)
    assert reverse("adapter-download", args=[version.id]) in page(client, alice, version, "?version=1")


def test_it_tells_where_it_can_go(client: Client, alice: User, version: AdapterVersion) -> None:
    html = page(client, alice, version)
    assert "GGUF: yes." in html and "AdapterHub has a LoRA format of its own." in html


def test_training_continues_from_it_unless_it_is_damaged(client: Client, alice: User, version: AdapterVersion) -> None:
    address = f"{reverse('job-new')}?start_adapter={version.id}"
    assert address in page(client, alice, version)
    assert address in client.get(reverse("job-detail", args=[version.job_id])).content.decode()
    AdapterVersion.objects.update(is_damaged=True)
    assert address not in page(client, alice, version)


def test_it_tells_what_it_continues_and_what_continues_it(client: Client, alice: User, version: AdapterVersion) -> None:
    client.force_login(alice)
    fields = {"name": "Onward", "dataset": str(version.job.dataset_version_id), "start_adapter": str(version.id)}
    client.post(reverse("job-new"), fields)
    onward = adapter_of(Job.objects.get(name="Onward"))
    assert "“First” version 1</a>" in page(client, alice, onward)
    assert "Continued by" in page(client, alice, version)
    AdapterVersion.objects.filter(id=version.id).delete()
    assert "an adapter that was deleted since" in page(client, alice, onward)


@pytest.mark.parametrize("query", ["?version=3", "?version=x", "?version="])
def test_a_version_that_is_not_there_is_not_found(
    client: Client, alice: User, version: AdapterVersion, query: str
) -> None:
    client.force_login(alice)
    assert client.get(url_of(version) + query).status_code == 404


def test_it_refuses_a_stranger_as_if_it_were_not_there(client: Client, bob: User, version: AdapterVersion) -> None:
    client.force_login(bob)
    foreign = client.get(url_of(version))
    missing = client.get(reverse("adapter-detail", args=[uuid.uuid4()]))
    assert foreign.status_code == missing.status_code == 404
    assert b"First" not in foreign.content


def test_an_admin_may_see_it(client: Client, admin_user: User, version: AdapterVersion) -> None:
    client.force_login(admin_user)
    assert client.get(url_of(version)).status_code == 200


def test_only_looking_is_allowed(client: Client, alice: User, version: AdapterVersion) -> None:
    client.force_login(alice)
    assert client.post(url_of(version)).status_code == 405
