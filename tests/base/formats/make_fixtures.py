#!/usr/bin/env python3
"""Makes the files in fixtures/ with the Python libraries of the formats. The tests compare terse's readers and writers with them.

    tests/base/formats/make_fixtures.py [FOLDER]

Needs torch 2.11.0, safetensors 0.8.0, huggingface_hub 2.4.0 and gguf 0.19.0. The files do not depend on the machine, except for the bits of
NaNs.
"""

import sys
from pathlib import Path

import numpy as np
import torch
from gguf import GGML_QUANT_SIZES, GGMLQuantizationType, GGUFWriter, dequantize, quantize
from huggingface_hub import save_torch_state_dict
from safetensors.torch import save_file

ELEMENTS = 2048  # of each tensor in quantized.gguf
QUANTIZED = ["Q4_0", "Q4_1", "Q5_0", "Q5_1", "Q8_0", "Q4_K", "Q5_K", "Q6_K", "F16", "BF16"]
# Where the F16 scales are in a block.
SCALES = {"Q4_0": [0], "Q4_1": [0, 2], "Q5_0": [0], "Q5_1": [0, 2], "Q8_0": [0], "Q4_K": [0, 2], "Q5_K": [0, 2], "Q6_K": [208]}


def write_safetensors(path):
    """One tensor of each dtype, a scalar, an empty tensor, and names that JSON has to escape."""
    numbers = torch.arange(6).reshape(2, 3)
    tensors = {}
    for dtype in ["float64", "float32", "float16", "bfloat16", "int64", "int32", "int16", "int8"]:
        tensors[dtype] = (numbers - 2).to(getattr(torch, dtype))
    for dtype in ["uint64", "uint32", "uint16", "uint8", "complex64", "bool"]:
        tensors[dtype] = numbers.to(getattr(torch, dtype))
    for dtype in ["e4m3fn", "e5m2", "e8m0fnu", "e4m3fnuz", "e5m2fnuz"]:
        tensors["float8_" + dtype] = torch.arange(6, dtype=torch.uint8).view(getattr(torch, "float8_" + dtype))
    tensors["float4"] = torch.arange(6, dtype=torch.uint8).view(torch.float4_e2m1fn_x2)
    tensors["scalar"] = torch.tensor(1.5)
    tensors["empty"] = torch.zeros(3, 0, 2)
    tensors["quote \" backslash \\ tab \t bell \a delete \x7f slash / é 漢 😀"] = torch.ones(1)
    save_file(tensors, path, metadata={"format": "pt é \n"})


def write_shards(folder):
    """Ten tensors of 400 bytes and one of 2,000 in shards of at most 1,000 bytes."""
    folder.mkdir(exist_ok=True)
    tensors = {f"layers.{i}.weight": torch.full((10, 10), float(i)) for i in range(10)}
    tensors["lm_head.weight"] = torch.arange(500, dtype=torch.float32).reshape(5, 100)
    save_torch_state_dict(tensors, folder, max_shard_size=1000)


def write_gguf(path):
    """Metadata of every type, and tensors of one to four dimensions in the types that terse writes."""
    writer = GGUFWriter(path, "llama")
    writer.add_uint8("test.uint8", 200)
    writer.add_int8("test.int8", -100)
    writer.add_uint16("test.uint16", 60000)
    writer.add_int16("test.int16", -30000)
    writer.add_uint32("test.uint32", 4000000000)
    writer.add_int32("test.int32", -2000000000)
    writer.add_uint64("test.uint64", 2**64 - 1)
    writer.add_int64("test.int64", -(2**63))
    writer.add_float32("test.float32", 0.1)
    writer.add_float64("test.float64", 0.1)
    writer.add_bool("test.bool", True)
    writer.add_string("test.string", "é 漢 😀\n")
    writer.add_array("test.strings", ["", "Ġthe", "é"])
    writer.add_array("test.int32s", [-1, 0, 1])
    writer.add_array("test.float32s", [-0.5, 1e10])
    writer.add_array("test.bools", [True, False])
    writer.add_array("test.bytes", bytes([1, 2, 255]))
    writer.add_array("test.nested", [[1, 2], [3]])
    writer.add_array("test.nested_strings", [["a"], ["b", "c"]])
    numbers = np.arange(-64, 64, dtype=np.float32)
    writer.add_tensor("vector", numbers[:5])
    writer.add_tensor("matrix", numbers.reshape(2, 64))
    writer.add_tensor("half", numbers.astype(np.float16).reshape(2, 4, 16))
    writer.add_tensor("bfloat16", quantize(numbers.reshape(2, 2, 2, 16), GGMLQuantizationType.BF16), raw_dtype=GGMLQuantizationType.BF16)
    writer.add_tensor("q8_0", quantize(numbers.reshape(2, 64), GGMLQuantizationType.Q8_0), raw_dtype=GGMLQuantizationType.Q8_0)
    finish(writer)


def random_blocks(name, rng):
    """Blocks of random bits. Half of them have ordinary scales; the others are whatever comes: subnormal, infinite, NaN."""
    elements, size = GGML_QUANT_SIZES[GGMLQuantizationType[name]]
    blocks = rng.integers(0, 256, (ELEMENTS // elements, size), dtype=np.uint8)
    for at in SCALES.get(name, []):
        ordinary = rng.normal(0, 0.05, len(blocks) // 2).astype(np.float16)
        blocks[: len(ordinary), at : at + 2] = ordinary.view(np.uint8).reshape(-1, 2)
    return blocks.reshape(8, -1)


def values_to_quantize(rng):
    """Blocks of 32 values: ordinary ones, of every magnitude, ties, zeros, and what Q8_0 can hold just so."""
    blocks = rng.normal(0, 1, (64, 32)).astype(np.float32)
    blocks[16:40] *= np.float32(2.0) ** np.arange(-140, 4, 6, dtype=np.float32).reshape(24, 1)
    blocks[40] = 0
    blocks[41] = -0.0
    blocks[42] = np.arange(32) * 0.5 - 8  # the largest value is 8, so others lie between two steps
    blocks[42, 0] = 127
    blocks[43] = np.float32(1e-45)
    blocks[44] = np.linspace(-127 * 65504, 127 * 65504, 32)
    blocks[45] = np.float32(2.0) ** -126
    blocks[46] = np.arange(32) - 15.5
    blocks[46, 31] = -127
    return blocks


def halves_to_round(rng):
    """Values around the limits of F16 and BF16, ties of both, infinities and NaNs."""
    bits = rng.integers(0, 2**32, ELEMENTS, dtype=np.uint32)
    bits[:512] = (bits[:512] & 0xFFFF0000) | 0x8000  # ties of BF16
    near = np.linspace(-66000, 66000, 256, dtype=np.float32)
    tiny = (rng.integers(-4000, 4000, 256) * np.float32(2.0) ** -26).astype(np.float32)  # subnormals of F16 and ties
    bits[512:768] = near.view(np.uint32)
    bits[768:1024] = tiny.view(np.uint32)
    bits[1024:1032] = np.array([65519, 65520, -65520, np.inf, -np.inf, np.nan, 0, -0.0], dtype=np.float32).view(np.uint32)
    return bits.view(np.float32).reshape(8, -1)


def write_quantized(path):
    """For each type, random blocks and what they mean; values, and the blocks that they become."""
    rng = np.random.default_rng(14)
    writer = GGUFWriter(path, "llama")
    with np.errstate(all="ignore"):
        for name in QUANTIZED:
            kind = GGMLQuantizationType[name]
            blocks = random_blocks(name, rng)
            writer.add_tensor(name, blocks.view(np.float16) if name == "F16" else blocks, raw_dtype=kind)
            writer.add_tensor(name + ".values", dequantize(blocks, kind).reshape(8, -1))
        values = values_to_quantize(rng)
        writer.add_tensor("to_q8_0", values)
        writer.add_tensor("to_q8_0.blocks", quantize(values, GGMLQuantizationType.Q8_0), raw_dtype=GGMLQuantizationType.Q8_0)
        halves = halves_to_round(rng)
        writer.add_tensor("to_half", halves)
        writer.add_tensor("to_half.F16", quantize(halves, GGMLQuantizationType.F16))
        writer.add_tensor("to_half.BF16", quantize(halves, GGMLQuantizationType.BF16), raw_dtype=GGMLQuantizationType.BF16)
    finish(writer)


def finish(writer):
    writer.write_header_to_file()
    writer.write_kv_data_to_file()
    writer.write_tensors_to_file()
    writer.close()


def main(arguments):
    folder = Path(arguments[0]) if arguments else Path(__file__).parent / "fixtures"
    folder.mkdir(exist_ok=True)
    write_safetensors(folder / "python.safetensors")
    write_shards(folder / "shards")
    write_gguf(folder / "python.gguf")
    write_quantized(folder / "quantized.gguf")


if __name__ == "__main__":
    main(sys.argv[1:])
