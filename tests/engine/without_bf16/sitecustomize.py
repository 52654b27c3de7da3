"""What Python runs at the start of every process that has this folder on its PYTHONPATH: its processor is one without
bf16, so that a classifier's steps are in fp32."""

import torch.cpu

torch.cpu._is_avx512_bf16_supported = torch.cpu._is_amx_tile_supported = lambda: False
