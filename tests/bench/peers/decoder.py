"""A decoder in PyTorch as somebody who wants speed would write it: fused projections, torch's own norm and scaled_dot_product_attention.

It is the peer in the comparison of training. It has the shapes of Qwen3 and Llama, and reads their weights from transformers' model.
"""

import torch
import torch.nn.functional as F
from torch import nn


class RMSNorm(nn.RMSNorm):
    """With autocast the input may be bf16 and the weight fp32. torch has its fused norm for equal types only."""

    def forward(self, x):
        return F.rms_norm(x, self.normalized_shape, self.weight.to(x.dtype), self.eps)


class Block(nn.Module):
    def __init__(self, shape):
        super().__init__()
        self.heads, self.kv, self.head = shape.heads, shape.kv_heads, shape.head_dim
        self.attention_norm = RMSNorm(shape.hidden_size, eps=shape.norm_eps)
        self.ffn_norm = RMSNorm(shape.hidden_size, eps=shape.norm_eps)
        self.q_norm = RMSNorm(self.head, eps=shape.norm_eps) if shape.qk_norm else nn.Identity()
        self.k_norm = RMSNorm(self.head, eps=shape.norm_eps) if shape.qk_norm else nn.Identity()
        self.qkv = nn.Linear(shape.hidden_size, (self.heads + 2 * self.kv) * self.head, bias=False)
        self.out = nn.Linear(self.heads * self.head, shape.hidden_size, bias=False)
        self.gate_up = nn.Linear(shape.hidden_size, 2 * shape.intermediate_size, bias=False)
        self.down = nn.Linear(shape.intermediate_size, shape.hidden_size, bias=False)

    def forward(self, x, cos, sin):
        b, t, _ = x.shape
        qkv = self.qkv(self.attention_norm(x)).view(b, t, -1, self.head).transpose(1, 2)
        q, k, v = qkv.split([self.heads, self.kv, self.kv], 1)

        def turn(y):
            low, high = y.chunk(2, -1)
            return torch.cat([low * cos - high * sin, high * cos + low * sin], -1)

        q, k = turn(self.q_norm(q)), turn(self.k_norm(k))
        y = F.scaled_dot_product_attention(q.to(v.dtype), k.to(v.dtype), v, is_causal=True, enable_gqa=self.heads != self.kv)
        x = x + self.out(y.transpose(1, 2).reshape(b, t, -1))
        gate, up = self.gate_up(self.ffn_norm(x)).chunk(2, -1)
        return x + self.down(F.silu(gate) * up)


class Decoder(nn.Module):
    def __init__(self, shape, tokens):
        """tokens: the length of the sequences."""
        super().__init__()
        self.embedding = nn.Embedding(shape.vocab, shape.hidden_size)
        self.blocks = nn.ModuleList(Block(shape) for _ in range(shape.layers))
        self.norm = RMSNorm(shape.hidden_size, eps=shape.norm_eps)
        frequencies = shape.rope_theta ** (-torch.arange(0, shape.head_dim, 2).float() / shape.head_dim)
        angle = torch.outer(torch.arange(tokens).float(), frequencies)
        self.register_buffer("cos", angle.cos())
        self.register_buffer("sin", angle.sin())

    def logits(self, tokens):
        x = self.embedding(tokens)
        for block in self.blocks:
            x = block(x, self.cos, self.sin)
        return F.linear(self.norm(x), self.embedding.weight)

    def forward(self, tokens, targets):
        return F.cross_entropy(self.logits(tokens).flatten(0, 1), targets.flatten())

    @torch.no_grad()
    def copy_weights(self, theirs):
        """theirs: transformers' Qwen3ForCausalLM or LlamaForCausalLM of the same shape."""
        self.embedding.weight.copy_(theirs.model.embed_tokens.weight)
        self.norm.weight.copy_(theirs.model.norm.weight)
        for block, layer in zip(self.blocks, theirs.model.layers, strict=True):
            attention, mlp = layer.self_attn, layer.mlp
            block.attention_norm.weight.copy_(layer.input_layernorm.weight)
            block.ffn_norm.weight.copy_(layer.post_attention_layernorm.weight)
            block.qkv.weight.copy_(torch.cat([attention.q_proj.weight, attention.k_proj.weight, attention.v_proj.weight]))
            block.out.weight.copy_(attention.o_proj.weight)
            block.gate_up.weight.copy_(torch.cat([mlp.gate_proj.weight, mlp.up_proj.weight]))
            block.down.weight.copy_(mlp.down_proj.weight)
            if isinstance(block.q_norm, RMSNorm):
                block.q_norm.weight.copy_(attention.q_norm.weight)
                block.k_norm.weight.copy_(attention.k_norm.weight)
        return self
