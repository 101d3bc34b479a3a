#!/usr/bin/env python3
"""Makes the adapter of adapter_files_test.cpp with PEFT, and what PEFT and PyTorch compute with it as the reference.

Run it with a Python that has torch, transformers and peft: make_adapters.py. It reads fixtures/llama, which make_models.py made, and writes
fixtures/lora beside it: before/ and after/ are PEFT's folders of the adapter before and after one update, and expected.json holds token
ids, logits, the loss and the norm of its gradient.
"""

import json
import shutil
from pathlib import Path

import peft
import torch
import transformers

HERE = Path(__file__).resolve().parent / "fixtures"
FOLDER = HERE / "lora"
# Two sequences; the loss counts the tokens from the fourth on.
SEQUENCES = [[3, 17, 0, 29, 5, 5, 11, 30, 2, 8, 23, 1], [9, 31, 4, 4, 18, 25, 7]]
PROMPT = 3
OPTIMIZER = {"lr": 1e-2, "betas": (0.9, 0.95), "eps": 1e-8, "weight_decay": 0.1}
CLIP = 1.0


def rounded(logits):
    return [[float(f"{x:.9g}") for x in row] for row in logits.tolist()]


def logits(model):
    with torch.no_grad():
        return rounded(model(torch.tensor([SEQUENCES[0]])).logits[0])


def save(model, name):
    model.save_pretrained(FOLDER / name)
    (FOLDER / name / "README.md").unlink()
    config = json.loads((FOLDER / name / "adapter_config.json").read_text())
    config["base_model_name_or_path"] = "llama"  # not the folder of the machine that made it
    config["target_modules"].sort()  # PEFT writes a set
    (FOLDER / name / "adapter_config.json").write_text(json.dumps(config, indent=2, sort_keys=True) + "\n")


def loss_of(model):
    total, count = 0, 0
    for tokens in SEQUENCES:
        ids = torch.tensor([tokens])
        losses = torch.nn.functional.cross_entropy(model(ids).logits[0, :-1], ids[0, 1:], reduction="none")
        total, count = total + losses[PROMPT - 1 :].sum(), count + len(losses) - PROMPT + 1
    return total / count


shutil.rmtree(FOLDER, ignore_errors=True)
torch.manual_seed(4)
base = transformers.AutoModelForCausalLM.from_pretrained(HERE / "llama", dtype=torch.float32, attn_implementation="eager")
expected = {
    "made_by": f"peft {peft.__version__}, transformers {transformers.__version__}, torch {torch.__version__.split('+')[0]}",
    "sequences": SEQUENCES,
    "prompt": PROMPT,
    "optimizer": {**OPTIMIZER, "clip": CLIP},
    "logits_of_base": logits(base),
}
targets = ["q_proj", "v_proj", "o_proj", "gate_proj", "down_proj"]  # k_proj and up_proj have none
model = peft.get_peft_model(base, peft.LoraConfig(r=3, lora_alpha=5, lora_dropout=0.0, target_modules=targets, task_type="CAUSAL_LM"))
with torch.no_grad():
    for name, parameter in model.named_parameters():  # B begins as zeros, which would hide mistakes
        if "lora_B" in name:
            parameter.normal_(0, 0.2)
save(model, "before")
expected["logits"] = logits(model)
trained = [parameter for parameter in model.parameters() if parameter.requires_grad]
loss = loss_of(model)
loss.backward()
norm = torch.nn.utils.clip_grad_norm_(trained, CLIP)
torch.optim.AdamW(trained, **OPTIMIZER).step()
save(model, "after")
expected["loss"], expected["grad_norm"] = loss.item(), norm.item()
expected["logits_after"] = logits(model)
expected["logits_merged"] = logits(model.merge_and_unload())
(FOLDER / "expected.json").write_text(json.dumps(expected) + "\n")
print(expected["made_by"], "loss", loss.item(), "norm of the gradient", norm.item())
