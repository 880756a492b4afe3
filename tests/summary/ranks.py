"""What each process of a distributed run does: ``python -m tests.summary.ranks rank ranks meeting-file folder``."""

from __future__ import annotations

import os
import pickle
import sys
from pathlib import Path

import torch
import torch.distributed as dist
from torch import nn


def model() -> nn.Module:
    """The same in every process; of sizes that two do not divide, with NaN, outliers and a mean far from zero."""
    torch.manual_seed(3)
    made = nn.Sequential(
        nn.Linear(301, 207), nn.Conv2d(65, 33, (3, 5)), nn.Embedding(901, 77), nn.BatchNorm1d(9), nn.Linear(7, 3)
    )
    with torch.no_grad():
        made[0].weight[200, 7] = 1e6
        made[0].weight[3, 5] = torch.nan
        made[2].weight += 40.0
        made[0].bias[11] = 0.0
    return made


def tensors() -> dict[str, torch.Tensor]:
    """For tensor parallelism: cut along rows, columns and inner axes."""
    torch.manual_seed(4)
    return {
        "rows": torch.randn(101, 90),
        "columns": torch.randn(90, 101).to(torch.bfloat16),
        "kernels": torch.randn(21, 10, 7, 5),
        "vector": torch.randn(9001),
        "replicated": torch.randn(80, 70),
        "misleading": misleading(),
    }


def misleading() -> torch.Tensor:
    """Far from zero except where the sample of its values looks."""
    from weightwidget.summary.blocks import pilot_steps

    weights = torch.randn(640, 700) + 1000.0
    down, right = pilot_steps(640, 700)
    weights[::down, ::right] = torch.randn(weights[::down, ::right].shape)
    return weights


def main() -> None:
    rank, ranks, meeting, folder = int(sys.argv[1]), int(sys.argv[2]), sys.argv[3], Path(sys.argv[4])
    dist.init_process_group("gloo", init_method=f"file://{meeting}", rank=rank, world_size=ranks)
    from torch.distributed.device_mesh import init_device_mesh
    from torch.distributed.fsdp import fully_shard
    from torch.distributed.tensor import Replicate, Shard, distribute_tensor

    import weightwidget

    mesh = init_device_mesh("cpu", (ranks,))
    sharded = model()
    for layer in sharded:
        fully_shard(layer, mesh=mesh)
    fully_shard(sharded, mesh=mesh)
    cut = {"rows": 0, "columns": 1, "kernels": 2, "vector": 0, "misleading": 1}
    parallel = {
        name: distribute_tensor(tensor, mesh, [Shard(cut[name]) if name in cut else Replicate()])
        for name, tensor in tensors().items()
    }
    found = {"fsdp": weightwidget.summarize(sharded), "tensor parallel": weightwidget.summarize(parallel)}
    found["without norms"] = weightwidget.summarize(parallel, norms=False)
    explorer = weightwidget.open_weights(sharded)
    try:
        explorer.tensors["0.weight"].read()
    except ValueError as error:
        found["refusal"] = str(error)
    (folder / f"{rank}.pickle").write_bytes(pickle.dumps(found))
    dist.destroy_process_group()


if __name__ == "__main__":
    main()
    # A thread of gloo's may let go of a gathered tensor later still; if Python has ended by then, torch aborts.
    os._exit(0)
