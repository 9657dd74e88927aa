/**
 * @file The exact tensor table of a config: public names, shapes, dtypes, roles. Everything that allocates, counts,
 * loads, checks or initialises parameters reads this table. Source: architecture §2.1, §3.13, §4.
 */
import type { Rng } from '@quasar/base';
import { type Device, persist, sizeOf, Tensor } from '@quasar/tensor';
import { glaKeyDim, isMoe, layerType, type QuasarConfig } from './config.ts';

/** Where it sits: decides optimizer group, weight decay and whether a token touches it. */
export type Role = 'embedding' | 'head' | 'matrix' | 'norm' | 'scalar' | 'expert' | 'buffer';

export interface TensorSpec {
  shape: number[];
  role: Role;
  /** How a fresh model draws it. */
  init:
    | { kind: 'normal'; std: number }
    | { kind: 'uniform'; bound: number }
    | { kind: 'constant'; value: number }
    | { kind: 'logUniform'; low: number; high: number };
}

const normal = (std: number) => ({ kind: 'normal', std }) as const;
const constant = (value: number) => ({ kind: 'constant', value }) as const;

/** Every tensor of a checkpoint in file order. */
export function tensorTable(config: QuasarConfig): Map<string, TensorSpec> {
  const table = new Map<string, TensorSpec>();
  const { d_model: d, n_heads: H, head_dim: E, n_layers: L } = config;
  const std = 0.5 / Math.sqrt(d);
  // Matrices that write into the residual stream shrink with depth.
  const outStd = std / Math.sqrt(2 * L);
  const put = (name: string, shape: number[], role: Role, init: TensorSpec['init']) =>
    table.set(name, { shape, role, init });
  const matrix = (name: string, shape: number[], s = std) => put(name, shape, 'matrix', normal(s));
  const norm = (name: string, size: number) => put(name, [size], 'norm', constant(1));

  put('model.embed_tokens.weight', [config.vocab_size, d], 'embedding', normal(config.initializer_range));
  norm('model.embed_norm.weight', d);
  for (let i = 0; i < L; i++) {
    const p = `model.layers.${i}`;
    for (const name of ['ln1', 'ln1_out', 'ln2', 'ln2_out']) norm(`${p}.${name}.weight`, d);
    put(
      `${p}.injection_gate`,
      [1],
      'scalar',
      constant(Math.log(config.looped_injection_init / (1 - config.looped_injection_init))),
    );
    if (layerType(config, i) === 'quasar') {
      for (const name of ['q', 'k', 'v']) matrix(`${p}.attn.${name}_proj.weight`, [d, d]);
      matrix(`${p}.attn.o_proj.weight`, [d, d], outStd);
      if (config.use_short_conv) {
        for (const name of ['q', 'k', 'v']) {
          put(`${p}.attn.${name}_conv1d.weight`, [d, 1, config.conv_size], 'matrix', {
            kind: 'uniform',
            bound: 1 / Math.sqrt(config.conv_size),
          });
        }
      }
      matrix(`${p}.attn.b_proj.weight`, [H, d]);
      matrix(`${p}.attn.f_proj.weight`, [d, d]);
      matrix(`${p}.attn.g_proj.0.weight`, [E, d]);
      matrix(`${p}.attn.g_proj.1.weight`, [d, E]);
      put(`${p}.attn.g_proj.1.bias`, [d], 'scalar', constant(0));
      put(`${p}.attn.A_log`, [H], 'scalar', { kind: 'logUniform', low: 1, high: 16 });
      put(`${p}.attn.dt_bias`, [d], 'scalar', constant(0));
      norm(`${p}.attn.o_norm.weight`, E);
    } else {
      const keys = glaKeyDim(config) * H;
      for (const name of ['q', 'k']) matrix(`${p}.attn.${name}_proj.weight`, [keys, d]);
      for (const name of ['v', 'g']) matrix(`${p}.attn.${name}_proj.weight`, [d, d]);
      matrix(`${p}.attn.o_proj.weight`, [d, d], outStd);
      matrix(`${p}.attn.gk_proj.0.weight`, [16, d]);
      matrix(`${p}.attn.gk_proj.1.weight`, [keys, 16]);
      put(`${p}.attn.gk_proj.1.bias`, [keys], 'scalar', constant(0));
      norm(`${p}.attn.g_norm_swish_gate.weight`, E);
      if (config.memory_slots > 0) putMemory(`${p}`, config, put);
    }
    if (isMoe(config, i)) {
      const b = d * config.bigmac_r;
      const w = config.routed_expert_size / config.bigmac_r;
      const X = config.num_routed_experts;
      matrix(`${p}.ffn.w_down_proj.weight`, [b, d]);
      matrix(`${p}.ffn.w_up_proj.weight`, [d, b]);
      put(`${p}.ffn.experts_w12`, [X, b, 2 * w], 'expert', normal(std));
      put(`${p}.ffn.experts_w3`, [X, w, b], 'expert', normal(std));
      put(`${p}.ffn.router.router_weights`, [X, d], 'matrix', { kind: 'uniform', bound: 1 / Math.sqrt(d) });
      for (let s = 0; s < config.num_shared_experts; s++) {
        for (const name of ['gate', 'up'])
          matrix(`${p}.ffn.shared_experts.${s}.${name}.weight`, [config.shared_expert_size, d]);
        matrix(`${p}.ffn.shared_experts.${s}.down.weight`, [d, config.shared_expert_size], outStd);
      }
      put(`${p}.ffn.max_vio`, [], 'buffer', constant(0));
    } else {
      for (const name of ['gate', 'up']) matrix(`${p}.ffn.${name}.weight`, [config.d_ff, d]);
      matrix(`${p}.ffn.down.weight`, [d, config.d_ff], outStd);
    }
  }
  norm('model.norm.weight', d);
  const moeLayers = Math.max(0, L - config.dense_input_layers);
  if (moeLayers > 0) {
    for (const name of ['all_moe_bias', 'all_moe_momentum'])
      put(`model.${name}`, [moeLayers, config.num_routed_experts], 'buffer', constant(0));
    put('model.all_moe_max_vio', [moeLayers], 'buffer', constant(0));
  }
  put('lm_head.weight', [config.vocab_size, d], 'head', normal(std));
  return table;
}

/** Latent memory of a GLA layer under its public names (architecture §3.8). */
function putMemory(
  p: string,
  config: QuasarConfig,
  put: (name: string, shape: number[], role: Role, init: TensorSpec['init']) => void,
): void {
  const { d_model: d, memory_dim: D } = config;
  const std = 0.5 / Math.sqrt(d);
  put(`${p}.memory.W_eta.weight`, [1, d], 'matrix', constant(0));
  put(`${p}.memory.W_eta.bias`, [1], 'scalar', constant(-1));
  put(`${p}.memory.summary_query`, [1, 1, D], 'scalar', normal(1));
  put(`${p}.memory.eta_channels`, [1, 1, D], 'scalar', constant(1));
  put(`${p}.memory.temperature`, [1], 'scalar', constant(1));
  put(`${p}.memory.summary_proj.weight`, [D, d], 'matrix', normal(std));
  put(`${p}.memory.summary_proj.bias`, [D], 'scalar', constant(0));
  put(`${p}.memory.input_norm.weight`, [d], 'norm', constant(1));
  put(`${p}.memory.input_norm.bias`, [d], 'norm', constant(0));
  put(`${p}.memory.compress_z.0.weight`, [2 * D, d], 'matrix', normal(std));
  put(`${p}.memory.compress_z.2.weight`, [D, 2 * D], 'matrix', normal(std));
  put(`${p}.memory.W_qkv_mem.weight`, [3 * D, d], 'matrix', normal(std));
  put(`${p}.W_alpha.weight`, [1, d], 'matrix', normal(std));
  put(`${p}.W_alpha.bias`, [1], 'scalar', constant(-4));
  put(`${p}.C_to_hidden.weight`, [d, D], 'matrix', normal(std));
}

/**
 * Parameters (buffers do not count). `active`: touched by one token, with the head and without the embedding table;
 * of the routed experts only the top k are.
 */
export function countParameters(config: QuasarConfig): { total: number; active: number } {
  let total = 0;
  let active = 0;
  for (const { shape, role } of tensorTable(config).values()) {
    if (role === 'buffer') continue;
    const size = sizeOf(shape);
    total += size;
    if (role === 'expert') active += (size / config.num_routed_experts) * config.top_k;
    else if (role !== 'embedding') active += size;
  }
  return { total, active };
}

/** Tensors on a device by public name. Buffers are there too; only the others have `requiresGrad` once trained. */
export type Parameters = Map<string, Tensor>;

/** A fresh model. Each tensor draws from its own stream, so a new tensor never changes the others. */
export function initialParameters(config: QuasarConfig, device: Device, rng: Rng): Parameters {
  const parameters: Parameters = new Map();
  for (const [name, { shape, init }] of tensorTable(config)) {
    const draw = rng.fork(name);
    const size = sizeOf(shape);
    const next: () => number =
      init.kind === 'constant'
        ? () => init.value
        : init.kind === 'normal'
          ? () => draw.normal() * init.std
          : init.kind === 'uniform'
            ? () => (draw.next() * 2 - 1) * init.bound
            : () => Math.log(init.low + draw.next() * (init.high - init.low));
    const data = new Float32Array(size);
    for (let i = 0; i < size; i++) data[i] = next();
    parameters.set(name, persist(Tensor.from(device, shape, data)));
  }
  return parameters;
}

export function disposeParameters(parameters: Parameters): void {
  for (const tensor of parameters.values()) tensor.dispose();
}
