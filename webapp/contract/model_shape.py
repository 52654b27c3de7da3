"""What a base model's architecture is, in the numbers that sizes and counts follow from."""

from typing import Literal, get_args

from pydantic import BaseModel, ConfigDict

from webapp.contract.tasks import Task

Family = Literal["llama", "gpt2", "bert", "t5"]
FAMILIES: tuple[Family, ...] = get_args(Family)

Architecture = Literal["decoder", "encoder", "encoder-decoder"]

ARCHITECTURE_OF_FAMILY: dict[Family, Architecture] = {
    "llama": "decoder",
    "gpt2": "decoder",
    "bert": "encoder",
    "t5": "encoder-decoder",
}
TASKS_OF_FAMILY: dict[Family, tuple[Task, ...]] = {
    "llama": ("generate", "classify"),
    "gpt2": ("generate", "classify"),
    "bert": ("classify",),
    "t5": ("transform",),
}
"""What each can be trained for; what it is best at stands first."""

FAMILY_OF_TYPE: dict[str, Family] = {
    "llama": "llama",
    "mistral": "llama",
    "qwen2": "llama",
    "gpt2": "gpt2",
    "bert": "bert",
    "roberta": "bert",
    "t5": "t5",
}
"""`model_type` of a config.json -> the family whose layers have the same names."""

FAMILY_WORDS: dict[Family, str] = {
    "llama": "Llama family (decoder)",
    "gpt2": "GPT-2 family (decoder)",
    "bert": "BERT family (encoder)",
    "t5": "T5 family (encoder-decoder)",
}


class LinearLayers(BaseModel):
    """All linear layers of one name in a model: how many there are, and their size."""

    model_config = ConfigDict(frozen=True)

    how_many: int
    inputs: int
    outputs: int
    is_attention: bool


class BlockCounts(BaseModel):
    """Weights of one block: all, those in norms, and those that are biases (of norms too)."""

    model_config = ConfigDict(frozen=True)

    params: int = 0
    norms: int = 0
    biases: int = 0


class ModelShape(BaseModel):
    """The numbers of an architecture."""

    model_config = ConfigDict(frozen=True, protected_namespaces=())

    family: Family
    num_layers: int
    """Blocks; of an encoder-decoder those of the encoder."""
    num_decoder_layers: int = 0
    """Blocks of an encoder-decoder's decoder."""
    hidden_size: int
    intermediate_size: int
    num_heads: int
    num_kv_heads: int
    head_size: int = 0
    """Where a config names it apart; else hidden_size / num_heads."""
    is_gated: bool = True
    """Whether a T5's feed-forward has two input layers (version 1.1) or one."""
    has_deep_head: bool = False
    """A RoBERTa's classifier is two layers; so is that of a BERT without a pooler of its own."""
    vocab_size: int
    max_length: int
    num_params: int
    size_bytes: int
    """Bytes of the weights as they lie on the disk: what every full fine-tuning would write again."""
    head_for_others: int = 0
    """Weights that a classifier made of this model leaves away: what it writes or pools texts with."""
    block: BlockCounts = BlockCounts()
    """Of an encoder-decoder: a block of the encoder."""
    decoder_block: BlockCounts = BlockCounts()

    @property
    def architecture(self) -> Architecture:
        return ARCHITECTURE_OF_FAMILY[self.family]

    @property
    def num_blocks(self) -> int:
        """The blocks of all stacks."""
        return self.num_layers + self.num_decoder_layers

    @property
    def head_dim(self) -> int:
        return self.head_size or self.hidden_size // self.num_heads

    @property
    def kv_size(self) -> int:
        """Width of one block's keys, and of its values."""
        return self.head_dim * self.num_kv_heads

    @property
    def prefix_layers(self) -> int:
        """Blocks that a trained prefix is put before: in an encoder-decoder those of the decoder."""
        return self.num_decoder_layers or self.num_layers

    def linear_layers(self) -> dict[str, LinearLayers]:
        """The ends of their names -> the linear layers of the blocks."""
        return {
            "llama": self._llama_layers,
            "gpt2": self._gpt2_layers,
            "bert": self._bert_layers,
            "t5": self._t5_layers,
        }[self.family]()

    @property
    def linear_params(self) -> int:
        """Weights of the blocks' linear layers: what each token is multiplied by."""
        return sum(one.how_many * one.inputs * one.outputs for one in self.linear_layers().values())

    def head_params(self, num_labels: int) -> int:
        """Weights of a fresh classification head."""
        if self.architecture == "decoder":
            return self.hidden_size * num_labels
        deep = self.hidden_size * self.hidden_size + self.hidden_size if self.has_deep_head else 0
        return deep + self.hidden_size * num_labels + num_labels

    def _llama_layers(self) -> dict[str, LinearLayers]:
        hidden, wide, inner = self.hidden_size, self.intermediate_size, self.head_dim * self.num_heads
        return {
            "q_proj": self._attention(hidden, inner),
            "k_proj": self._attention(hidden, self.kv_size),
            "v_proj": self._attention(hidden, self.kv_size),
            "o_proj": self._attention(inner, hidden),
            "gate_proj": self._feed_forward(hidden, wide),
            "up_proj": self._feed_forward(hidden, wide),
            "down_proj": self._feed_forward(wide, hidden),
        }

    def _gpt2_layers(self) -> dict[str, LinearLayers]:
        hidden, wide = self.hidden_size, self.intermediate_size
        return {
            "attn.c_attn": self._attention(hidden, 3 * hidden),
            "attn.c_proj": self._attention(hidden, hidden),
            "mlp.c_fc": self._feed_forward(hidden, wide),
            "mlp.c_proj": self._feed_forward(wide, hidden),
        }

    def _bert_layers(self) -> dict[str, LinearLayers]:
        hidden, wide = self.hidden_size, self.intermediate_size
        names = ("query", "key", "value", "attention.output.dense")
        return {
            **{name: self._attention(hidden, hidden) for name in names},
            "intermediate.dense": self._feed_forward(hidden, wide),
            "output.dense": self._feed_forward(wide, hidden),
        }

    def _t5_layers(self) -> dict[str, LinearLayers]:
        hidden, inner = self.hidden_size, self.head_dim * self.num_heads
        # A decoder block attends twice: to itself and to the encoder.
        attentions = self.num_layers + 2 * self.num_decoder_layers
        into = {name: self._attention(hidden, inner, attentions) for name in ("q", "k", "v")}
        wide = ("wi_0", "wi_1") if self.is_gated else ("wi",)
        return {
            **into,
            "o": self._attention(inner, hidden, attentions),
            **{name: self._feed_forward(hidden, self.intermediate_size) for name in wide},
            "wo": self._feed_forward(self.intermediate_size, hidden),
        }

    def _attention(self, inputs: int, outputs: int, how_many: int = 0) -> LinearLayers:
        return LinearLayers(how_many=how_many or self.num_blocks, inputs=inputs, outputs=outputs, is_attention=True)

    def _feed_forward(self, inputs: int, outputs: int) -> LinearLayers:
        return LinearLayers(how_many=self.num_blocks, inputs=inputs, outputs=outputs, is_attention=False)
