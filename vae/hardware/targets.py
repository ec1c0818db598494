"""Devices that programs are compiled for, here or not: names, published figures, topologies.

A target is `NAME:LAYOUT`, as `v5e:4x4`, `v5p:2x2x2`, `h100:8`, `h100:2x8` (two hosts of eight) or
`cpu:2`. A compiler needs no device: libtpu brings that of TPUs, JAX's CUDA plugin that of GPUs.
"""

import dataclasses
import importlib.util
import math
import os
import sys
from collections.abc import Sequence
from typing import Any

from vae.errors import UserError


@dataclasses.dataclass(frozen=True)
class Device:
    """One kind of accelerator, by its maker's data sheet."""

    platform: str  # "tpu" or "cuda"
    peak: float  # FLOP/s of products of float32 as JAX computes them by default: bfloat16 or TF32
    half: float  # FLOP/s of products of bfloat16
    memory: int  # bytes
    bandwidth: float  # bytes a second of that memory
    links: float  # bytes a second that one device sends to the others
    extra: str  # of pip, which has the compiler
    source: str
    cores: int = 0  # of a GPU: multiprocessors
    cache: int = 0  # bytes of a GPU's L2
    clock: float = 0.0  # GHz of a GPU
    capability: tuple[int, int] = (0, 0)  # of CUDA
    shared: int = 0  # bytes of a GPU's multiprocessor that its threads share


GIB = 2**30
TPU = "cloud.google.com/tpu/docs"
DEVICES = {
    "v4": Device("tpu", 275e12, 275e12, 32 * GIB, 1228e9, 300e9, "plan-tpu", f"{TPU}/v4"),
    "v5e": Device("tpu", 197e12, 197e12, 16 * GIB, 819e9, 200e9, "plan-tpu", f"{TPU}/v5e"),
    "v5p": Device("tpu", 459e12, 459e12, 95 * GIB, 2765e9, 600e9, "plan-tpu", f"{TPU}/v5p"),
    "v6e": Device("tpu", 918e12, 918e12, 32 * GIB, 1640e9, 448e9, "plan-tpu", f"{TPU}/v6e"),
    "a100": Device(
        "cuda", 156e12, 312e12, 80 * GIB, 2039e9, 300e9, "plan-cuda",
        "NVIDIA A100 80GB SXM data sheet", 108, 40 * 2**20, 1.41, (8, 0), 167936,
    ),
    "h100": Device(
        "cuda", 494.7e12, 989.4e12, 80 * GIB, 3352e9, 450e9, "plan-cuda",
        "NVIDIA H100 80GB SXM data sheet", 132, 50 * 2**20, 1.98, (9, 0), 233472,
    ),
}  # fmt: skip
TPU_HOST = {  # libtpu asks for these where there is no TPU to ask
    "TPU_SKIP_MDS_QUERY": "1",
    "TPU_ACCELERATOR_TYPE": "v5litepod-4",
    "TPU_WORKER_HOSTNAMES": "localhost",
    "TPU_WORKER_ID": "0",
    "ALLOW_MULTIPLE_LIBTPU_LOAD": "1",  # for compiling alone, several processes do not collide
}


@dataclasses.dataclass(frozen=True)
class Target:
    """Devices of one kind, in a layout."""

    name: str  # as it was asked for
    kind: str  # of DEVICES, or "cpu"
    layout: tuple[int, ...]

    @property
    def device(self) -> Device | None:
        """The kind's published figures; None of a CPU."""
        return DEVICES.get(self.kind)

    @property
    def platform(self) -> str:
        """"cpu", "cuda" or "tpu"."""
        return self.device.platform if self.device else "cpu"

    @property
    def count(self) -> int:
        """Devices in all."""
        return math.prod(self.layout)

    @property
    def options(self) -> dict[str, Any]:
        """For the compiler: no autotuning, which times kernels on the device; and so no products by
        Triton, whose tiles it chooses: the default ones do not fit every product
        (`experiments.accelerators.triton`)."""
        if self.platform != "cuda":
            return {}
        return {"xla_gpu_autotune_level": 0, "xla_gpu_enable_triton_gemm": False}


def parse(name: str) -> Target:
    """The target of that name.

    Raises:
      UserError: there is no such device or layout.
    """
    kind, _, text = name.partition(":")
    parts = (text or "1").split("x")
    known = ", ".join([*DEVICES, "cpu"])
    if kind not in (*DEVICES, "cpu") or not all(part.isdecimal() and int(part) for part in parts):
        raise UserError(
            f"--target={name} is not KIND:LAYOUT, as v5e:2x2, h100:8 or cpu:2; kinds: {known}"
        )
    target = Target(name, kind, tuple(map(int, parts)))
    if target.platform == "tpu" and len(parts) not in (2, 3):
        raise UserError(f"--target={name}: give the chips of a TPU as their grid, {kind}:2x2")
    if target.platform != "tpu" and len(parts) > 2:
        raise UserError(f"--target={name}: give a number, or hosts x devices of each: {kind}:2x8")
    return target


def prepare(target: Target) -> None:
    """Sets up JAX for compiling only, before it is first used.

    Raises:
      UserError: the compiler is not installed.
    """
    os.environ["JAX_PLATFORMS"] = "cpu"  # a plug-in would look for devices
    if "jax" in sys.modules:
        sys.modules["jax"].config.update("jax_platforms", "cpu")
    if target.device is None:
        os.environ.setdefault("JAX_NUM_CPU_DEVICES", str(target.count))
        return
    package = {"tpu": "libtpu", "cuda": "jax_plugins.xla_cuda13"}[target.platform]
    if not _there(package):
        raise UserError(
            f"--target={target.name} needs {package.rpartition('.')[2]}, the compiler of "
            f"{target.kind}: pip install 'vae[{target.device.extra}]'"
        )
    if target.platform == "tpu":
        import libtpu

        for key, value in TPU_HOST.items():
            os.environ.setdefault(key, value)
        os.environ.setdefault("TPU_LIBRARY_PATH", libtpu.get_library_path())


def _there(package: str) -> bool:
    try:
        return importlib.util.find_spec(package) is not None
    except ModuleNotFoundError:
        return False


def devices(target: Target) -> Sequence[Any]:
    """The target's devices, to compile for; only a CPU's can also be computed on.

    Raises:
      UserError: the compiler knows no such layout.
    """
    import jax
    from jax.experimental import topologies

    if target.device is None:
        found = jax.devices("cpu")
        if len(found) < target.count:
            raise UserError(
                f"--target={target.name}: JAX has {len(found)} devices; set "
                f"JAX_NUM_CPU_DEVICES={target.count}"
            )
        return found[: target.count]
    layout = "x".join(map(str, target.layout))
    try:
        if target.platform == "tpu":
            name = f"{target.kind}:{layout}"
            host = {} if target.count >= 4 else {"chips_per_host_bounds": _bounds(target)}
            return topologies.get_topology_desc(
                platform="tpu", topology_name=name, **host
            ).devices
        hosts, each = ([1, *target.layout])[-2:]
        return topologies.get_topology_desc(
            "name", "cuda", target_config=_described(target), topology=f"{hosts}x{each}x1"
        ).devices
    except Exception as error:  # each compiler raises its own
        said = " ".join(str(error).split())[:200]
        raise UserError(f"--target={target.name} cannot be compiled for: {said}") from None


def _bounds(target: Target) -> tuple[int, ...]:
    """Chips of a host along each axis, of fewer than a whole host has."""
    return (*target.layout, 1, 1)[:3]


def _described(target: Target) -> str:
    """A GPU as XLA's compiler is told of it: a GpuTargetConfigProto in text form."""
    device = target.device
    assert device is not None
    major, minor = device.capability
    facts = {
        "threads_per_block_limit": 1024,
        "threads_per_warp": 32,
        "shared_memory_per_block": 49152,
        "shared_memory_per_block_optin": device.shared - 1024,
        "shared_memory_per_core": device.shared,
        "threads_per_core_limit": 2048,
        "core_count": device.cores,
        "fpus_per_core": 128 if major >= 9 else 64,
        "block_dim_limit_x": 2**31 - 1,
        "block_dim_limit_y": 65535,
        "block_dim_limit_z": 65535,
        "memory_bandwidth": int(device.bandwidth),
        "l2_cache_size": device.cache,
        "clock_rate_ghz": device.clock,
        "device_memory_size": device.memory,
        "registers_per_core_limit": 65536,
        "registers_per_block_limit": 65536,
    }
    lines = [f"{name}: {value}" for name, value in facts.items()]
    lines.append(f"cuda_compute_capability {{ major: {major} minor: {minor} }}")
    return (
        f"gpu_device_info {{ {' '.join(lines)} }} platform_name: 'CUDA' "
        "runtime_version { major: 13 } dnn_version_info { major: 9 minor: 12 } "
        f"device_description_str: 'NVIDIA {target.kind.upper()}'"
    )
