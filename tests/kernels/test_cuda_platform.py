"""Where kernels run: devices that cannot be had, tensors they cannot read, memory, streams."""

from __future__ import annotations

import importlib.machinery
import sys
import types
from typing import Any

import numpy as np
import pytest
from backends import REAL_PLATFORM, on_backend
from problems import random_days

import marketsim as ms
from marketsim.build_info import cuda_state
from marketsim.cli import doctor
from marketsim.errors import (
    ArgumentError,
    CudaError,
    CudaMemoryError,
    CudaUnavailableError,
    UnknownNameError,
)
from marketsim.kernels.cuda import place as cuda
from marketsim.timing import profiled

torch = pytest.importorskip("torch")

f32 = np.float32
FUNCTIONS = (ms.profit, ms.profit_sums, ms.best_offsets)
DAYS = random_days(np.random.default_rng(0), 12)


class NoDriver(types.ModuleType):
    """`_cuda` where there is no GPU, or one that torch does not see."""

    ARCHITECTURES = "80-real 90"

    def __init__(self, devices: int = 0) -> None:
        super().__init__("marketsim._cuda")
        self.__spec__ = importlib.machinery.ModuleSpec("marketsim._cuda", None)
        self.devices = devices

    def device_count(self) -> int:
        return self.devices

    def device_name(self, device: int) -> str:
        return f"card {device}"

    def driver_state(self) -> str:
        return "no NVIDIA driver; built with CUDA 13.0"


@pytest.fixture
def without_gpu(monkeypatch: pytest.MonkeyPatch) -> pytest.MonkeyPatch:
    monkeypatch.setattr(cuda, "platform", REAL_PLATFORM)
    REAL_PLATFORM.cache_clear()
    monkeypatch.setattr(torch.cuda, "is_available", lambda: False)
    return monkeypatch


@pytest.fixture
def emulation():
    with on_backend("emulation") as found:
        yield found


def tensors(days: dict[str, Any]) -> dict[str, Any]:
    return {name: torch.from_numpy(value.copy()) for name, value in days.items()}


@pytest.mark.parametrize("function", FUNCTIONS)
@pytest.mark.parametrize("device", ["gpu", "cuda:", "cuda:-1", "cuda:x", "CPU", "", None, 3])
def test_unknown_devices(function, device) -> None:
    with pytest.raises(UnknownNameError, match=r"expected one of cpu, cuda, cuda:<index>, auto"):
        function(**DAYS, device=device)


@pytest.mark.parametrize("function", FUNCTIONS)
def test_what_is_missing_is_named(without_gpu: pytest.MonkeyPatch, function) -> None:
    state = pytest.MonkeyPatch()
    state.setitem(sys.modules, "marketsim._cuda", NoDriver())
    with state.context(), pytest.raises(CudaUnavailableError, match="no NVIDIA driver.*'cpu'"):
        function(**DAYS, device="cuda")
    state.undo()
    without_gpu.setitem(sys.modules, "marketsim._cuda", NoDriver(devices=2))
    with pytest.raises(CudaUnavailableError, match=r"torch .*and GPU memory is allocated through"):
        function(**DAYS, device="cuda:1")
    assert cuda_state()["devices"] == ["card 0", "card 1"]


def test_a_build_without_kernels_says_so(without_gpu: pytest.MonkeyPatch) -> None:
    without_gpu.setattr("importlib.util.find_spec", lambda name: None)
    with pytest.raises(CudaUnavailableError, match="MARKETSIM_CUDA=ON; or use device='cpu'"):
        ms.profit(**DAYS, device="cuda")


def test_a_module_that_does_not_load(without_gpu: pytest.MonkeyPatch) -> None:
    def fails(name: str) -> Any:
        raise ImportError("libstdc++.so.6: version not found")

    without_gpu.setitem(sys.modules, "marketsim._cuda", NoDriver())
    without_gpu.setattr("importlib.import_module", fails)
    assert cuda_state()["reason"] == (
        "the CUDA kernels of this build cannot be loaded (libstdc++.so.6: version not found)"
    )


@pytest.mark.parametrize("function", FUNCTIONS)
def test_auto_without_a_gpu_is_the_cpu(without_gpu: pytest.MonkeyPatch, function) -> None:
    for name in ("LEAST_PROFITS", "LEAST_SUMS", "LEAST_OFFSET_DAYS"):
        without_gpu.setattr(cuda, name, 0)
    without_gpu.setitem(sys.modules, "marketsim._cuda", NoDriver())
    np.testing.assert_equal(function(**DAYS, device="auto"), function(**DAYS))


def test_auto_goes_by_size(emulation, monkeypatch: pytest.MonkeyPatch) -> None:
    used = []
    real = cuda.Platform.place
    monkeypatch.setattr(cuda.Platform, "place", lambda *a: used.append(a) or real(*a))
    rows = random_days(np.random.default_rng(1), (10, 12))
    monkeypatch.setattr(cuda, "LEAST_OFFSET_DAYS", 121)
    ms.best_offsets(**rows, device="auto")
    assert not used
    monkeypatch.setattr(cuda, "LEAST_OFFSET_DAYS", 120)
    ms.best_offsets(**rows, device="auto")
    assert len(used) == 1
    offsets = np.zeros(10, f32)
    monkeypatch.setattr(cuda, "LEAST_PROFITS", 120)
    monkeypatch.setattr(cuda, "LEAST_SUMS", 1201)
    ms.profit(**DAYS, high_offset=offsets, device="auto")
    assert len(used) == 2
    ms.profit_sums(**DAYS, high_offset=offsets, low_offset=offsets, grid=True, device="auto")
    assert len(used) == 2


@pytest.mark.parametrize("function", FUNCTIONS)
def test_tensors_that_cannot_be_read(emulation, function) -> None:
    days = tensors(DAYS)
    wide = torch.zeros(12, 2)[:, 0]
    wrong = (
        (days["low"].double(), r"low must be float32: got torch.float64; use low.float\(\)"),
        (days["low"].clone().requires_grad_(), r"pass low.detach\(\)"),
        (wide, r"low must be contiguous along its last axis.*low.contiguous\(\)"),
        (days["low"].to_sparse(), "low must be a dense tensor"),
        (torch.zeros(12, device="meta"), "low is on meta"),
        (DAYS["low"], "low must be a tensor like the other arrays: got ndarray"),
        ([0.0] * 12, "low must be a tensor like the other arrays: got list"),
        (days["low"][:5], "lengths differ: close has 12, low has 5"),
        (days["low"][None], r"shapes differ: close has \(12,\), low has \(1, 12\)"),
    )
    for value, message in wrong:
        with pytest.raises(ArgumentError, match=message):
            function(**(days | {"low": value}), device="cuda")
    with pytest.raises(ArgumentError, match="needs open="):
        function(**(days | {"open": None}), fill="open_aware", device="cuda")
    with pytest.raises(ArgumentError, match=r"close must be \[day\] or \[problem, day\]"):
        function(**{name: value[None, None] for name, value in days.items()}, device="cuda")


def test_a_cpu_tensor_is_not_moved_to_a_gpu(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(cuda, "platform", lambda: cuda.Platform(None, "cuda"))
    with pytest.raises(ArgumentError, match="close is on cpu, but device='cuda' was requested"):
        ms.profit(**tensors(DAYS), device="cuda")


def test_offsets_beside_tensors(emulation) -> None:
    days = tensors(DAYS)
    with pytest.raises(ArgumentError, match="high_offset must be a number or a tensor"):
        ms.profit(**days, high_offset=[0.0, 0.1], device="cuda")
    with pytest.raises(ArgumentError, match="low_offset must be finite"):
        ms.profit(**days, low_offset=float("nan"), device="cuda")
    with pytest.raises(ArgumentError, match="high_offset must be float32"):
        ms.profit(**days, high_offset=torch.zeros(3, dtype=torch.float64), device="cuda")


def test_offsets_may_have_any_strides(emulation) -> None:
    days, wide = tensors(DAYS), torch.linspace(-0.01, 0.01, 12).reshape(6, 2)
    for offsets in (wide[:, 0], torch.zeros(()).expand(6)):
        found = ms.profit(**days, high_offset=offsets, device="cuda")
        expected = ms.profit(**DAYS, high_offset=offsets.numpy())
        np.testing.assert_array_equal(found.numpy(), expected)


def test_rows_of_tensors_may_lie_anywhere(emulation) -> None:
    series = random_days(np.random.default_rng(2), 40)
    windows = {n: np.lib.stride_tricks.sliding_window_view(v, 9) for n, v in series.items()}
    strided = {name: value.unfold(0, 9, 1) for name, value in tensors(series).items()}
    found = ms.best_offsets(**strided, device="cuda")
    for got, expected in zip(found, ms.best_offsets(**windows), strict=True):
        np.testing.assert_array_equal(got.numpy(), expected)
    wide = {n: torch.cat((v, v), 1) for n, v in tensors(windows).items()}
    found = ms.best_offsets(**{n: v[:, :9] for n, v in wide.items()}, device="cuda")
    np.testing.assert_array_equal(found.profit.numpy(), ms.best_offsets(**windows).profit)
    same = {n: v[:9].expand(5, 9) for n, v in tensors(series).items()}
    assert ms.profit(**same, device="cuda").shape == (5, 9)


def test_other_producers_come_in_by_dlpack(emulation) -> None:
    class Producer:
        def __init__(self, of: torch.Tensor) -> None:
            self.of = of

        def __dlpack__(self, **options: Any) -> Any:
            return self.of.__dlpack__(**options)

        def __dlpack_device__(self) -> Any:
            return self.of.__dlpack_device__()

    days = {name: Producer(value) for name, value in tensors(DAYS).items()}
    found = ms.profit(**days, device="cuda")
    np.testing.assert_array_equal(found.numpy(), ms.profit(**DAYS))

    class Broken(Producer):
        def __dlpack__(self, **options: Any) -> Any:
            raise BufferError("this array is read-only")

    with pytest.raises(ArgumentError, match="low must be a tensor.*Broken .*read-only"):
        ms.profit(**(days | {"low": Broken(days["low"].of)}), device="cuda")


def test_missing_memory_is_said_with_sizes(emulation, monkeypatch: pytest.MonkeyPatch) -> None:
    def none(*_: Any, **__: Any) -> Any:
        raise torch.OutOfMemoryError("CUDA out of memory. Tried to allocate")

    days = tensors(DAYS)
    monkeypatch.setattr(torch, "empty", none)
    with pytest.raises(CudaMemoryError, match=r"no memory for 0.0 MiB.*profit_sums") as caught:
        ms.profit(**days, device="cuda")
    assert isinstance(caught.value, MemoryError)


def test_the_workspace_takes_what_there_is(emulation, monkeypatch: pytest.MonkeyPatch) -> None:
    real, asked = torch.empty, []

    def little(shape: Any, **options: Any) -> Any:
        if options["dtype"] == torch.uint8:
            asked.append(shape[0])
            if shape[0] > 3000:
                raise torch.OutOfMemoryError("CUDA out of memory")
        return real(shape, **options)

    place = cuda.platform().place(None)
    monkeypatch.setattr(torch, "empty", little)
    memory = place.workspace(1000, 10_000)
    assert (asked, memory.numel()) == ([10_255, 5_255, 2_755], 2500)
    assert memory.data_ptr() % 256 == 0
    with pytest.raises(CudaMemoryError):
        place.workspace(3000, 5000)


def test_a_launch_that_fails_is_our_error(emulation, monkeypatch: pytest.MonkeyPatch) -> None:
    class Failing:
        MAX_DAYS = 11
        ProfitBatch = dict

        def __getattr__(self, name: str) -> Any:
            def fail(*_: Any, **__: Any) -> Any:
                raise RuntimeError("invalid device function (cudaErrorInvalidDeviceFunction)")

            return fail

    monkeypatch.setattr(cuda, "platform", lambda: cuda.Platform(Failing(), "cpu"))
    with pytest.raises(CudaError, match="could not be launched: invalid device function"):
        ms.profit(**DAYS, device="cuda")
    with pytest.raises(ArgumentError, match="at most 11 bars per problem: got 12"):
        ms.best_offsets(**DAYS, device="cuda")


def test_transfers_are_a_stage_of_the_profile(emulation) -> None:
    with profiled() as profile:
        ms.best_offsets(**DAYS, device="cuda")
    stages = {found.name: found.calls for found in profile.by_stage()}
    assert (stages["transfer"], stages["offsets"]) == (2, 1)


def test_doctor_tests_the_gpu_where_it_can_be_used(emulation, monkeypatch, capsys) -> None:
    state = {"usable": True, "reason": "1 GPUs", "devices": ["card"]}
    monkeypatch.setattr("marketsim.build_info.cuda_state", lambda: dict(state))
    parser = doctor.add_parser(__import__("argparse").ArgumentParser().add_subparsers())
    assert doctor.run(parser.parse_args([])) == 0
    assert "self test: passed" in capsys.readouterr().out.partition("cuda:")[2]


# ---- on a GPU only ------------------------------------------------------------------------------


@pytest.fixture
def gpu():
    with on_backend("cuda-tensors") as found:
        yield found


@pytest.mark.cuda
def test_work_follows_the_current_stream(gpu) -> None:
    """A slow producer on another stream: the kernels wait for it, and nothing else does."""
    days = {name: torch.from_numpy(value).cuda() for name, value in DAYS.items()}
    expected = ms.profit(**DAYS)
    stream, torch_close = torch.cuda.Stream(), torch.zeros(12, device="cuda")
    torch.cuda.synchronize()
    with torch.cuda.stream(stream):
        torch.cuda._sleep(200_000_000)
        torch_close.copy_(days["close"])
        found = ms.profit(**(days | {"close": torch_close}), device="cuda")
        best = ms.best_offsets(**(days | {"close": torch_close}), device="cuda")
        assert not stream.query(), "the host waited for the device"
    np.testing.assert_array_equal(ms.profit(**days, device="cuda").cpu().numpy(), expected)
    assert not stream.query(), "the other stream was waited for"
    stream.synchronize()
    np.testing.assert_array_equal(found.cpu().numpy(), expected)
    assert best.profit.item() == ms.best_offsets(**DAYS).profit


@pytest.mark.cuda
def test_results_are_the_same_between_runs(gpu) -> None:
    rows = random_days(np.random.default_rng(3), (500, 60))
    days = {name: torch.from_numpy(value).cuda() for name, value in rows.items()}
    first = ms.best_offsets(**days, device="cuda")
    for _ in range(5):
        for got, value in zip(ms.best_offsets(**days, device="cuda"), first, strict=True):
            assert torch.equal(got, value)


@pytest.mark.cuda
def test_out_of_memory(gpu) -> None:
    days = {name: torch.from_numpy(value).cuda() for name, value in DAYS.items()}
    free, _ = torch.cuda.mem_get_info()
    many = torch.zeros(1, device="cuda").expand(free // 12)
    with pytest.raises(CudaMemoryError, match=r"MiB are free: give fewer candidates"):
        ms.profit(**days, high_offset=many, device="cuda")
    assert ms.profit(**days, device="cuda").shape == (12,)
