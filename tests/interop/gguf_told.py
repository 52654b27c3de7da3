"""Reads an adapter in GGUF with llama.cpp's own reader, and knows nothing of us.

python gguf_told.py GGUF_PY FILE -> {"alpha": ..., "tensors": {name: rows of numbers}}
"""

import json
import sys

if __name__ == "__main__":
    sys.path.insert(0, sys.argv[1])
    from gguf import GGUFReader

    reader = GGUFReader(sys.argv[2])
    alpha = float(reader.fields["adapter.lora.alpha"].contents())
    tensors = {tensor.name: tensor.data.tolist() for tensor in reader.tensors}
    sys.stdout.write(json.dumps({"alpha": alpha, "tensors": tensors}))
