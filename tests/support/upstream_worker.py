"""The other end of `tests/upstream/worker.py`: asks the original Toto code, in its environment."""

from __future__ import annotations

import json
import os
import subprocess
import tempfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np

Ask = Callable[..., dict[str, Any]]

ROOT = Path(__file__).parents[2]
# A folder elsewhere, for checkouts that share one environment.
ENVIRONMENT = Path(os.environ.get("MARKETSIM_UPSTREAM", ROOT / ".venv-upstream"))
BUILT = ENVIRONMENT / ".built"
WORKER = ROOT / "tests" / "upstream" / "worker.py"

# As in the published config.json.
TOTO1_BASE: dict[str, Any] = {
    "dropout": 0.1,
    "embed_dim": 768,
    "mlp_hidden_dim": 3072,
    "num_heads": 12,
    "num_layers": 12,
    "output_distribution_classes": ["<class 'model.distribution.MixtureOfStudentTsOutput'>"],
    "output_distribution_kwargs": {"k_components": 24},
    "patch_size": 64,
    "scale_factor_exponent": 10.0,
    "scaler_cls": "<class 'model.scaler.CausalPatchStdMeanScaler'>",
    "spacewise_every_n_layers": 12,
    "spacewise_first": False,
    "stabilize_with_global": True,
    "stride": 64,
    "use_memory_efficient_attention": True,
}
_TOTO2_COMMON: dict[str, Any] = {
    "attn_bias": True,
    "dropout_p": 0.0,
    "mlp_bias": False,
    "norm_eps": 1e-4,
    "norm_include_weight": False,
    "num_output_patches": 1,
    "num_variate_layers_per_group": 1,
    "patch_size": 32,
    "per_dim_scale": True,
    "pre_norm": True,
    "qk_dim": 64,
    "qk_norm": False,
    "qk_norm_include_weight": False,
    "residual_attn_ratio": 5.136215466577748,
    "residual_mult": 0.75,
    "use_xpos": True,
    "v_dim": 64,
    "variate_layer_first": False,
}


def toto2_config(**sizes: Any) -> dict[str, Any]:
    """A configuration with what all published sizes share, and these sizes."""
    return _TOTO2_COMMON | {"num_groups": sizes["num_heads"]} | sizes


TOTO2_4M = toto2_config(d_model=256, d_ff=688, num_heads=4, num_layers=4, layer_group_size=4)
TOTO2_22M = toto2_config(d_model=512, d_ff=1368, num_heads=8, num_layers=6, layer_group_size=6)


def missing() -> str | None:
    """Why the original code cannot be asked; None if it can."""
    if BUILT.is_file():
        return None
    return f"the original code is not installed in {ENVIRONMENT}: `make upstream` builds it"


def run_upstream(command: str, *, threads: int = 2, **arguments: Any) -> dict[str, Any]:
    """What the original answers to a command of the worker.

    NumPy arrays and dictionaries of them (their keys become `case/name`) are handed over as they
    are, everything else as JSON.

    Raises:
        RuntimeError: the environment is missing, or the worker failed; with its last words.
    """
    if reason := missing():
        raise RuntimeError(reason)
    arrays = {k: v for k, v in arguments.items() if isinstance(v, np.ndarray)}
    facts = {k: v for k, v in arguments.items() if k not in arrays and k != "arrays"}
    arrays |= arguments.get("arrays", {})
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        (folder / "request.json").write_text(json.dumps(facts | {"threads": threads}, default=str))
        np.savez(folder / "request.npz", **arrays)
        done = subprocess.run(
            [ENVIRONMENT / "bin" / "python", WORKER, command, folder],
            capture_output=True,
            text=True,
            env={**os.environ, "HF_HUB_OFFLINE": "1"},
        )
        if done.returncode != 0:
            raise RuntimeError(f"{command} failed:\n{done.stderr[-4000:]}")
        answer: dict[str, Any] = json.loads((folder / "result.json").read_text())
        with np.load(folder / "result.npz", allow_pickle=False) as file:
            return answer | dict(file)
