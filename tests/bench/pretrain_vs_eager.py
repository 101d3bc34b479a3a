#!/usr/bin/env python3
"""Compares the pretraining speed of terse with the same model in eager PyTorch: same shapes, dtype and threads, in one run.

    tests/bench/pretrain_vs_eager.py        # with a Python that has torch 2.11.0: pip install torch==2.11.0

Both train the model of configs/shakespeare_10m.yaml (another with --config) with --batch sequences an update. They take turns,
so that noise on the machine affects both. terse reads its corpus, and the PyTorch model trains on random tokens. PyTorch users
train in bf16 on a CPU in two ways: with all weights in bf16, or with autocast over fp32 weights. terse is compared with the
faster of the two; both use torch.optim.AdamW(fused=True) and scaled_dot_product_attention. Prints tokens per second and the
ratio of medians.
"""
import argparse
import json
import pathlib
import statistics
import subprocess
import sys
import tempfile
import time

import torch
import torch.nn.functional as F
from torch import nn

ROOT = pathlib.Path(__file__).resolve().parents[2]


class Block(nn.Module):
    def __init__(self, m):
        super().__init__()
        self.heads, self.kv = m["heads"], m["kv_heads"] or m["heads"]
        self.head = m["head_dim"] or m["hidden_size"] // m["heads"]
        self.attention_norm = nn.RMSNorm(m["hidden_size"], eps=m["norm_eps"])
        self.ffn_norm = nn.RMSNorm(m["hidden_size"], eps=m["norm_eps"])
        self.qkv = nn.Linear(m["hidden_size"], (self.heads + 2 * self.kv) * self.head, bias=False)
        self.out = nn.Linear(self.heads * self.head, m["hidden_size"], bias=False)
        self.gate_up = nn.Linear(m["hidden_size"], 2 * m["intermediate_size"], bias=False)
        self.down = nn.Linear(m["intermediate_size"], m["hidden_size"], bias=False)

    def forward(self, x, cos, sin):
        b, t, _ = x.shape
        qkv = self.qkv(self.attention_norm(x)).view(b, t, -1, self.head).transpose(1, 2)
        q, k, v = qkv.split([self.heads, self.kv, self.kv], 1)

        def turn(y):
            low, high = y.chunk(2, -1)
            return torch.cat([low * cos - high * sin, high * cos + low * sin], -1)

        y = F.scaled_dot_product_attention(turn(q), turn(k), v, is_causal=True, enable_gqa=self.heads != self.kv)
        x = x + self.out(y.transpose(1, 2).reshape(b, t, -1))
        gate, up = self.gate_up(self.ffn_norm(x)).chunk(2, -1)
        return x + self.down(F.silu(gate) * up)


class Model(nn.Module):
    def __init__(self, m, vocab):
        super().__init__()
        self.embedding = nn.Embedding(vocab, m["hidden_size"])
        nn.init.normal_(self.embedding.weight, std=m["init_std"])
        self.blocks = nn.ModuleList(Block(m) for _ in range(m["layers"]))
        self.norm = nn.RMSNorm(m["hidden_size"], eps=m["norm_eps"])
        head = self.blocks[0].head
        angle = torch.outer(torch.arange(m["max_seq_len"]).float(), m["rope_theta"] ** (-torch.arange(0, head, 2).float() / head))
        self.register_buffer("cos", angle.cos())
        self.register_buffer("sin", angle.sin())

    def forward(self, tokens, targets):
        x = self.embedding(tokens)
        for block in self.blocks:
            x = block(x, self.cos, self.sin)
        return F.cross_entropy(F.linear(self.norm(x), self.embedding.weight).flatten(0, 1), targets.flatten())


def read_model(terse, config):
    """Returns the section `model` of the complete configuration, with the derived feed-forward size filled in."""
    command = [str(terse), "config", "print", "--plain", str(config)]
    lines = subprocess.run(command, cwd=ROOT, check=True, capture_output=True, text=True).stdout.splitlines()
    begin = lines.index("model:") + 1
    m = {}
    for line in lines[begin:]:
        if not line.startswith("  "):
            break
        key, value = line.split("#")[0].split(":")
        m[key.strip()] = value.strip() if key.strip() == "precision" else json.loads(value)
    m["intermediate_size"] = m["intermediate_size"] or -(-8 * m["hidden_size"] // 3 // 64) * 64
    return m


def eager(m, batch, steps, autocast):
    """Returns the tokens per second of every step but the first two."""
    vocab = 65  # as many as the corpus has characters
    torch.manual_seed(1)
    model = Model(m, vocab)
    bf16 = m["precision"] == "bf16"
    if bf16 and not autocast:
        model = model.to(torch.bfloat16)
    optimizer = torch.optim.AdamW(model.parameters(), lr=1e-3, weight_decay=0.1, fused=True)
    text = torch.randint(vocab, (1_000_000,))
    speeds = []
    for _ in range(steps):
        start = time.perf_counter()
        first = torch.randint(len(text) - m["max_seq_len"] - 1, (batch,))
        rows = torch.stack([text[i : i + m["max_seq_len"] + 1] for i in first])
        with torch.autocast("cpu", torch.bfloat16, enabled=bf16 and autocast):
            loss = model(rows[:, :-1], rows[:, 1:])
        loss.backward()
        nn.utils.clip_grad_norm_(model.parameters(), 1.0)
        optimizer.step()
        optimizer.zero_grad()
        loss.item()
        speeds.append(batch * m["max_seq_len"] / (time.perf_counter() - start))
    return speeds[2:]


def ours(terse, config_path, batch, steps, threads):
    with tempfile.TemporaryDirectory() as folder:
        run = pathlib.Path(folder) / "run"
        options = {
            "pretrain.steps": steps, "pretrain.batch_size": batch, "pretrain.micro_batch": 0, "pretrain.eval_every": 0,
            "pretrain.eval_batches": 1, "pretrain.optimizer.warmup_steps": 0, "run.log_every": 1, "checkpoint.every": 0, "run.threads": threads, "run.device": "cpu",
        }
        command = [str(terse), "run", str(config_path), "--run-dir", str(run)]
        for name, value in options.items():
            command += ["--set", f"{name}={value}"]
        subprocess.run(command, cwd=ROOT, check=True, stdout=subprocess.DEVNULL)
        records = [json.loads(line) for line in (run / "metrics.jsonl").read_text().splitlines()]
    return [r["tokens_per_s"] for r in records if "tokens_per_s" in r][2:]


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--config", type=pathlib.Path, default=ROOT / "configs/shakespeare_10m.yaml")
    parser.add_argument("--terse", type=pathlib.Path, default=ROOT / "build/terse")
    parser.add_argument("--batch", type=int, default=16, help="sequences an update")
    parser.add_argument("--steps", type=int, default=8, help="updates of each turn, the first two not counted")
    parser.add_argument("--turns", type=int, default=3)
    parser.add_argument("--threads", type=int, default=torch.get_num_threads())
    args = parser.parse_args()
    torch.set_num_threads(args.threads)
    model = read_model(args.terse, args.config)
    speeds = {"terse": [], "eager, weights in bf16": [], "eager, autocast": []}
    for _ in range(args.turns):
        speeds["terse"] += ours(args.terse, args.config, args.batch, args.steps, args.threads)
        speeds["eager, weights in bf16"] += eager(model, args.batch, args.steps, autocast=False)
        speeds["eager, autocast"] += eager(model, args.batch, args.steps, autocast=True)
    medians = {name: statistics.median(values) for name, values in speeds.items()}
    parameters = sum(p.numel() for p in Model(model, 65).parameters())
    print(f"{parameters:,} parameters, sequences of {model['max_seq_len']}, batch {args.batch}, {args.threads} threads, "
          f"torch {torch.__version__}")
    for name, value in medians.items():
        low, *_, high = statistics.quantiles(speeds[name], n=10)
        print(f"{name:24} {value:9.0f} tokens/s   (10 % {low:.0f}, 90 % {high:.0f})")
    peer = max(value for name, value in medians.items() if name != "terse")
    print(f"terse / the faster eager: {medians['terse'] / peer:.2f}")


if __name__ == "__main__":
    sys.exit(main())
