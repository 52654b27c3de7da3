"""Which names are asked of the Hub, and which files may come."""

import pytest

from webapp.contract.hub import HubFile, files_problem, id_problem, is_wanted, revision_problem

GB = 1_000_000_000
GOOD = tuple(HubFile(name=name, size_bytes=1000) for name in ("config.json", "tokenizer.json", "model.safetensors"))


@pytest.mark.parametrize(
    "hub_id", ["HuggingFaceTB/SmolLM2-360M-Instruct", "a/b", "google-bert/bert_base.uncased", f"{'a' * 96}/{'b' * 96}"]
)
def test_a_name_of_the_hub_is_one(hub_id: str) -> None:
    assert id_problem(hub_id) is None


@pytest.mark.parametrize(
    "hub_id",
    [
        "", "gpt2", "../x", "x/..", "./x", "a..b/c", "/etc", "/etc/passwd", "file:///etc/passwd", "a/b/c", "a/b\n",
        "http://169.254.169.254/", "org/name@main/../../", f"{'a' * 150}/{'b' * 150}", "оrg/name", "org/nаme",
        "org/na me", "org/name?x=1", "org/name#x", "org/%2e%2e", "org\\name", "org/name\x00", "１/２",
    ],
)  # fmt: skip
def test_anything_else_is_refused(hub_id: str) -> None:
    assert "owner/name" in str(id_problem(hub_id))


@pytest.mark.parametrize("revision", ["", "a/../b", "..", "x y", "main\n", "é", "a" * 101])
def test_a_strange_revision_is_refused(revision: str) -> None:
    assert revision_problem(revision)
    assert not revision_problem("v1.0-rc_2")


@pytest.mark.parametrize(
    "name",
    [
        "pytorch_model.bin", "model.pt", "modeling_evil.py", "x.pkl", "adapter_config.json",
        "adapter_model.safetensors", "sub/model.safetensors", "../model.safetensors",
        "model.safetensors.py", "onnx/model.onnx", "training_args.bin",
        "tokenizer.json/x", ".gitattributes", "flax_model.msgpack", "processor_config.json",
    ],
)  # fmt: skip
def test_code_pickles_adapters_and_subfolders_never_come(name: str) -> None:
    assert not is_wanted(name)


def test_weights_in_parts_come() -> None:
    assert is_wanted("model-00001-of-00002.safetensors") and is_wanted("model.safetensors.index.json")


def test_a_good_model_may_come() -> None:
    assert files_problem(GOOD, GB, 2 * GB) is None


@pytest.mark.parametrize(
    ("files", "limit", "free", "says"),
    [
        (GOOD[:2], GB, 2 * GB, "no *.safetensors weights"),
        (GOOD[1:], GB, 2 * GB, "no config.json"),
        (GOOD[::2], GB, 2 * GB, "no tokenizer.json"),
        ((*GOOD, HubFile(name="vocab.json", size_bytes=GB)), 9 * GB, 9 * GB, "Its vocab.json has 1,000 MB"),
        (
            (*GOOD, HubFile(name="model-00001-of-00001.safetensors", size_bytes=GB)),
            GB,
            9 * GB,
            "GRAFTWORK_HUB_LIMIT_GB",
        ),
        (GOOD, GB, GB, "Free some space first"),
    ],
)
def test_what_is_too_large_or_not_whole_is_told_before_it_is_fetched(
    files: tuple[HubFile, ...], limit: int, free: int, says: str
) -> None:
    assert says in str(files_problem(files, limit, free))
