"""Names and shapes of the tensors of the language models, the local networks and the projections between them."""

import math
from dataclasses import dataclass

from tests.checkpoints.configs import Config
from tests.checkpoints.draw import Tensors, Uniform, around_zero


@dataclass(frozen=True, slots=True)
class _Stack:
    """The dimensions of one transformer stack."""

    hidden: int
    ffn: int
    layers: int
    heads: int
    kv_heads: int
    head_width: int


def backbone_tensors(config: Config) -> Tensors:
    """Return the tensors of model.safetensors, in the order of the modules in the published files.

    The standard deviations keep every activation near 1: linear layers are drawn for inputs of standard deviation 1,
    and the branches of a residual stream are small compared with the stream.
    """
    lm, encoder, dit = config["lm_config"], config["encoder_config"], config["dit_config"]
    hidden, width = lm["hidden_size"], config["feat_dim"]
    base = _lm_stack(lm, lm["num_hidden_layers"])
    tensors: Tensors = {"base_lm.embed_tokens.weight": around_zero((lm["vocab_size"], hidden), 1.0)}
    tensors |= _stack("base_lm", base)
    tensors |= _stack("residual_lm", _lm_stack(lm, config["residual_lm_num_layers"]))
    tensors |= {"feat_encoder.special_token": around_zero((1, 1, 1, encoder["hidden_dim"]), 1.0)}
    tensors |= _linear("feat_encoder.in_proj", width, encoder["hidden_dim"])
    tensors |= _stack("feat_encoder.encoder", _local_stack(encoder, lm))
    tensors |= _local_dit(config)

    latent = config["scalar_quantization_latent_dim"]
    tensors |= _linear("fsq_layer.in_proj", hidden, latent) | _linear("fsq_layer.out_proj", latent, hidden, gain=2.0)
    tensors |= _linear("enc_to_lm_proj", encoder["hidden_dim"], hidden)
    tensors |= _linear("lm_to_dit_proj", hidden, dit["hidden_dim"])
    tensors |= _linear("res_to_dit_proj", hidden, dit["hidden_dim"])
    if config.get("architecture") == "voxcpm2":
        tensors |= _linear("fusion_concat_proj", 2 * hidden, hidden)
    tensors |= _linear("stop_proj", hidden, hidden, gain=2.0)
    tensors |= _linear("stop_head", hidden, 2, bias=False)
    return tensors


def _local_dit(config: Config) -> Tensors:
    dit, width = config["dit_config"], config["feat_dim"]
    hidden, estimator = dit["hidden_dim"], "feat_decoder.estimator"
    tensors = _linear(f"{estimator}.in_proj", width, hidden) | _linear(f"{estimator}.cond_proj", width, hidden)
    tensors |= _linear(f"{estimator}.out_proj", hidden, width, gain=0.5)
    for mlp in ("time_mlp", "delta_time_mlp"):
        tensors |= _linear(f"{estimator}.{mlp}.linear_1", hidden, hidden)
        tensors |= _linear(f"{estimator}.{mlp}.linear_2", hidden, hidden)
    return tensors | _stack(f"{estimator}.decoder", _local_stack(dit, config["lm_config"]))


def _lm_stack(lm: Config, layers: int) -> _Stack:
    heads = lm["num_attention_heads"]
    head_width = lm.get("kv_channels") or lm["hidden_size"] // heads
    return _Stack(lm["hidden_size"], lm["intermediate_size"], layers, heads, lm["num_key_value_heads"], head_width)


def _local_stack(local: Config, lm: Config) -> _Stack:
    hidden, heads = local["hidden_dim"], local["num_heads"]
    head_width = local.get("kv_channels") or hidden // heads
    return _Stack(hidden, local["ffn_dim"], local["num_layers"], heads, lm["num_key_value_heads"], head_width)


def _stack(prefix: str, stack: _Stack) -> Tensors:
    tensors: Tensors = {}
    queries, keys = stack.heads * stack.head_width, stack.kv_heads * stack.head_width
    for number in range(stack.layers):
        layer = f"{prefix}.layers.{number}"
        tensors |= _linear(f"{layer}.self_attn.q_proj", stack.hidden, queries, bias=False)
        tensors |= _linear(f"{layer}.self_attn.k_proj", stack.hidden, keys, bias=False)
        tensors |= _linear(f"{layer}.self_attn.v_proj", stack.hidden, keys, bias=False)
        tensors |= _linear(f"{layer}.self_attn.o_proj", queries, stack.hidden, bias=False)
        tensors |= _linear(f"{layer}.mlp.gate_proj", stack.hidden, stack.ffn, bias=False)
        tensors |= _linear(f"{layer}.mlp.up_proj", stack.hidden, stack.ffn, bias=False)
        tensors |= _linear(f"{layer}.mlp.down_proj", stack.ffn, stack.hidden, bias=False)
        tensors |= {
            f"{layer}.input_layernorm.weight": _norm(stack.hidden),
            f"{layer}.post_attention_layernorm.weight": _norm(stack.hidden),
        }
    return tensors | {f"{prefix}.norm.weight": _norm(stack.hidden)}


def _norm(width: int) -> Uniform:
    return Uniform((width,), 0.8, 1.2)


def _linear(name: str, inputs: int, outputs: int, *, bias: bool = True, gain: float = 1.0) -> Tensors:
    tensors: Tensors = {f"{name}.weight": around_zero((outputs, inputs), gain / math.sqrt(inputs))}
    if bias:
        tensors[f"{name}.bias"] = around_zero((outputs,), 0.1)
    return tensors
