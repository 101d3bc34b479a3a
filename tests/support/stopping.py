"""The configuration of a run with every kind of work, for tests that stop it."""

CONFIG = """\
stages: [pretrain, sft, rl, eval]
run: {name: tiny, device: cpu, threads: 1, log_every: 4}
model: {layers: 1, hidden_size: 32, heads: 2, intermediate_size: 48, max_seq_len: 128, qk_norm: true, init_std: 0.08}
data: {train: text.txt}
task: {k_min: 1, k_max: 2, align_to: 2}
pretrain: {steps: 6, batch_size: 4, seq_len: 24, eval_every: 3}
sft: {steps: 60, batch_size: 32, eval_every: 20, optimizer: {lr: 0.01}}
rl: {steps: 48, prompts: 3, group_size: 4, demonstrations: 4, eval_every: 40, student: {updates: 1, traces: 8}}
eval: {problems_per_difficulty: 20, samples: 2, quick_problems_per_difficulty: 6}
checkpoint: {every: 0}
"""
# Steps before and after RL. The steps of the gates in RL depend on what the model has learned, which differs between machines. RL is long
# enough for a gate before the only quick evaluation on every machine.
RL_BEGINS = 6 + 60
RL_ENDS = RL_BEGINS + 48
