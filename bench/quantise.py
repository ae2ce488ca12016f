"""Writes the fine-tuned transformer as an ONNX graph with weights of eight bits."""

from __future__ import annotations

import tempfile
import warnings
from pathlib import Path

import onnx
import torch
from onnxruntime.quantization import QuantType, quantize_dynamic

from bench.transformer import PADDING, Listener

OPSET = 17


def write_graph(model: Listener, out: Path) -> None:
    """Write `out`: input `ids` (rows, length) of int64, outputs `asks` (rows) and `places` (rows, length, 2).

    Every column of a weight has a scale of its own: with one scale for all, mean F1 falls by more than eight bits cost.
    """
    model.eval()
    both = {0: "rows", 1: "length"}
    example = torch.tensor([[0, 5, 6, 7, 2], [0, 5, 2, PADDING, PADDING]])
    with tempfile.TemporaryDirectory() as folder, warnings.catch_warnings():
        warnings.simplefilter("ignore")
        whole = Path(folder) / "whole.onnx"
        torch.onnx.export(
            model, (example,), str(whole), input_names=["ids"], output_names=["asks", "places"], opset_version=OPSET,
            dynamic_axes={"ids": both, "asks": {0: "rows"}, "places": both}, dynamo=False,
        )  # fmt: skip
        quantize_dynamic(
            whole, out, op_types_to_quantize=["MatMul", "Gather"], per_channel=True, weight_type=QuantType.QInt8
        )
    onnx.checker.check_model(onnx.load(out))
