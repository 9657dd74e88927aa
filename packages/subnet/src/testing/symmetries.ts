/**
 * @file What can be done to the weights of a model without changing what it computes, for each family: the disguises that
 * copy detection must see through. A test shows that each leaves the logits as they are.
 *
 * Exact in any precision: permutations, signs, powers of two. Others (`scale` by 1.37, rotations, folded norms) round to
 * BF16 again, which is noise of one part in 600.
 */
import {
  isMoe,
  layerType,
  type ModelConfig,
  type QuasarConfig,
  type QuasarLongConfig,
  tensorTable,
} from '@quasar/model';

/** Slices of a tensor that move together: its axis from `offset` on is [outer, count of the group, inner]. */
export interface Member {
  name: string;
  axis: number;
  offset?: number;
  outer?: number;
  inner?: number;
  /** Only this row of axis 0. */
  row?: number;
}

export interface Symmetry {
  kind: 'experts' | 'heads' | 'channels' | 'hidden' | 'residual' | 'slots';
  count: number;
  /** Any permutation of the count, applied to all of them. */
  members: Member[];
}

/** Factors of `count` channels that may move from one tensor to another: multiply `by`, divide `through`. */
export interface ScalePair {
  kind: 'up_down' | 'convolution' | 'norm' | 'query_key' | 'sign';
  count: number;
  by: Member[];
  through: Member[];
  /** Any factor; or only 1 and −1. */
  factors: 'any' | 'signs';
}

/** An orthogonal matrix may stand between two linear maps. */
export interface Rotation {
  kind: 'bottleneck' | 'values';
  count: number;
  members: Member[];
}

export interface Symmetries {
  permutations: Symmetry[];
  scales: ScalePair[];
  rotations: Rotation[];
}

/** @throws Error for a family without a list */
export function symmetriesOf(config: ModelConfig): Symmetries {
  if (config.model_type === 'quasar') return quasarSymmetries(config);
  if (config.model_type === 'quasar_long') return quasarLongSymmetries(config);
  throw new Error(`symmetriesOf: no list for ${config.model_type}`);
}

const at =
  (prefix: string) =>
  (name: string, axis: number, more: Omit<Member, 'name' | 'axis'> = {}): Member => ({
    name: `${prefix}.${name}`,
    axis,
    ...more,
  });

function feedForward(prefix: string, width: number, suffix = ''): Symmetries {
  const of = at(prefix);
  const [gate, up, down] = [of(`gate${suffix}.weight`, 0), of(`up${suffix}.weight`, 0), of(`down${suffix}.weight`, 1)];
  return {
    permutations: [{ kind: 'hidden', count: width, members: [gate, up, down] }],
    scales: [{ kind: 'up_down', count: width, by: [up], through: [down], factors: 'any' }],
    rotations: [],
  };
}

/** Hidden units of all experts at once; w12 [X, in, gate and up], w3 [X, hidden, out]. */
function expertUnits(prefix: string, width: number): Symmetries {
  const of = at(prefix);
  const down = of('experts_w3', 1);
  return {
    permutations: [{ kind: 'hidden', count: width, members: [of('experts_w12', 2, { outer: 2 }), down] }],
    scales: [
      { kind: 'up_down', count: width, by: [of('experts_w12', 2, { offset: width })], through: [down], factors: 'any' },
    ],
    rotations: [],
  };
}

/** Quasar attention: heads, and channels of values, whose output norm all heads share. */
function quasarAttention(prefix: string, H: number, E: number, hasConvolution: boolean): Symmetries {
  const of = at(prefix);
  const taps = hasConvolution ? ['q', 'k', 'v'].map((name) => of(`${name}_conv1d.weight`, 0, { inner: E })) : [];
  return {
    permutations: [
      {
        kind: 'heads',
        count: H,
        members: [
          ...[
            'q_proj.weight',
            'k_proj.weight',
            'v_proj.weight',
            'f_proj.weight',
            'dt_bias',
            'g_proj.1.weight',
            'g_proj.1.bias',
          ].map((name) => of(name, 0, { inner: E })),
          ...taps,
          of('b_proj.weight', 0),
          of('A_log', 0),
          of('o_proj.weight', 1, { inner: E }),
        ],
      },
      {
        kind: 'channels',
        count: E,
        members: [
          ...['v_proj.weight', ...(hasConvolution ? ['v_conv1d.weight'] : []), 'g_proj.1.weight', 'g_proj.1.bias'].map(
            (name) => of(name, 0, { outer: H }),
          ),
          of('o_norm.weight', 0),
          of('o_proj.weight', 1, { outer: H }),
        ],
      },
    ],
    scales: hasConvolution
      ? ['q', 'k', 'v'].map(
          (name): ScalePair => ({
            kind: 'convolution',
            count: H * E,
            by: [of(`${name}_proj.weight`, 0)],
            through: [of(`${name}_conv1d.weight`, 0)],
            factors: 'any',
          }),
        )
      : [],
    rotations: [],
  };
}

function joined(parts: readonly Symmetries[]): Symmetries {
  return {
    permutations: parts.flatMap((part) => part.permutations),
    scales: parts.flatMap((part) => part.scales),
    rotations: parts.flatMap((part) => part.rotations),
  };
}

/** Channels of the residual stream: every axis of the table that is as wide as it and not something else. */
function residual(
  config: ModelConfig,
  D: number,
  axisOf: (name: string, shape: readonly number[]) => number | null,
): Symmetries {
  const members: Member[] = [];
  const signed: Member[] = [];
  for (const [name, { shape }] of tensorTable(config)) {
    const axis = axisOf(name, shape);
    if (axis === null) continue;
    if (shape[axis] !== D) throw new Error(`residual: ${name} has no axis of ${D} at ${axis}`);
    members.push({ name, axis });
    // A norm multiplies each channel by itself: its sign stays.
    if (shape.length > 1) signed.push({ name, axis });
  }
  return {
    permutations: [{ kind: 'residual', count: D, members }],
    scales: [{ kind: 'sign', count: D, by: signed, through: [], factors: 'signs' }],
    rotations: [],
  };
}

function norm(D: number, by: string, through: readonly Member[]): ScalePair {
  return { kind: 'norm', count: D, by: [{ name: by, axis: 0 }], through: [...through], factors: 'any' };
}

function quasarSymmetries(config: QuasarConfig): Symmetries {
  const { d_model: D, n_heads: H, head_dim: E, num_routed_experts: X, num_shared_experts: shared } = config;
  if (config.memory_slots > 0) throw new Error('symmetriesOf: no list for layers with a latent memory');
  const dk = (D * config.expand_k) / H;
  const parts: Symmetries[] = [];
  for (let layer = 0; layer < config.n_layers; layer++) {
    const prefix = `model.layers.${layer}`;
    const of = at(prefix);
    const isQuasar = layerType(config, layer) === 'quasar';
    const attended = isQuasar
      ? ['q_proj', 'k_proj', 'v_proj', 'b_proj', 'f_proj', 'g_proj.0']
      : ['q_proj', 'k_proj', 'v_proj', 'g_proj', 'gk_proj.0'];
    parts.push(
      isQuasar ? quasarAttention(`${prefix}.attn`, H, E, config.use_short_conv) : gatedLinear(prefix, H, E, dk),
    );
    const fed = isMoe(config, layer)
      ? [
          'w_down_proj.weight',
          'router.router_weights',
          ...Array.from({ length: shared }, (_, s) =>
            ['gate', 'up'].map((n) => `shared_experts.${s}.${n}.weight`),
          ).flat(),
        ]
      : ['gate.weight', 'up.weight'];
    parts.push({
      permutations: [],
      scales: [
        norm(
          D,
          `${prefix}.ln1.weight`,
          attended.map((name) => of(`attn.${name}.weight`, 1)),
        ),
        norm(
          D,
          `${prefix}.ln2.weight`,
          fed.map((name) => of(`ffn.${name}`, 1)),
        ),
      ],
      rotations: [],
    });
    if (!isMoe(config, layer)) {
      parts.push(feedForward(`${prefix}.ffn`, config.d_ff));
      continue;
    }
    const [width, bottleneck] = [config.routed_expert_size / config.bigmac_r, D * config.bigmac_r];
    const row = layer - config.dense_input_layers;
    const buffers = ['all_moe_bias', 'all_moe_momentum'].map(
      (name): Member => ({ name: `model.${name}`, axis: 1, row }),
    );
    parts.push(expertUnits(`${prefix}.ffn`, width), {
      permutations: [
        {
          kind: 'experts',
          count: X,
          members: [of('ffn.experts_w12', 0), of('ffn.experts_w3', 0), of('ffn.router.router_weights', 0), ...buffers],
        },
      ],
      scales: [],
      rotations: [
        { kind: 'bottleneck', count: bottleneck, members: [of('ffn.w_down_proj.weight', 0), of('ffn.experts_w12', 1)] },
        { kind: 'bottleneck', count: bottleneck, members: [of('ffn.experts_w3', 2), of('ffn.w_up_proj.weight', 1)] },
      ],
    });
    for (let s = 0; s < shared; s++)
      parts.push(feedForward(`${prefix}.ffn.shared_experts.${s}`, config.shared_expert_size));
  }
  parts.push({
    permutations: [],
    scales: [norm(D, 'model.norm.weight', [{ name: 'lm_head.weight', axis: 1 }])],
    rotations: [],
  });
  const written = /(o_proj|down|w_up_proj)\.weight$/;
  const inner = /experts_w|conv1d|g_proj\.1|gk_proj\.1|o_norm|g_norm|w_down_proj/;
  parts.push(
    residual(config, D, (name, shape) => {
      if (/w_down_proj/.test(name)) return 1;
      if (/layers\.\d+\.ln|embed_norm|model\.norm/.test(name)) return 0;
      if (shape.length !== 2 || inner.test(name) || name.startsWith('model.all_moe')) return null;
      return written.test(name) ? 0 : 1;
    }),
  );
  return joined(parts);
}

/** Gated linear attention of the quasar family: queries and keys are linear, so their scales cancel. */
function gatedLinear(prefix: string, H: number, E: number, dk: number): Symmetries {
  const of = at(`${prefix}.attn`);
  const [query, key] = [of('q_proj.weight', 0), of('k_proj.weight', 0)];
  return {
    permutations: [
      {
        kind: 'heads',
        count: H,
        members: [
          ...['q_proj.weight', 'k_proj.weight', 'gk_proj.1.weight', 'gk_proj.1.bias'].map((n) =>
            of(n, 0, { inner: dk }),
          ),
          ...['v_proj.weight', 'g_proj.weight'].map((n) => of(n, 0, { inner: E })),
          of('o_proj.weight', 1, { inner: E }),
        ],
      },
    ],
    scales: [{ kind: 'query_key', count: H * dk, by: [query], through: [key], factors: 'any' }],
    rotations: [],
  };
}

function quasarLongSymmetries(config: QuasarLongConfig): Symmetries {
  const { hidden_size: D, num_attention_heads: H, num_key_value_heads: Hk, head_dim: E } = config;
  const { num_experts: X, n_group: groups, moe_intermediate_size: F } = config;
  const perKey = H / Hk;
  const parts: Symmetries[] = [];
  const table = tensorTable(config);
  for (let layer = 0; layer < config.num_hidden_layers; layer++) {
    const prefix = `model.layers.${layer}`;
    const of = at(prefix);
    const fused = 'attention.query_key_value.weight';
    parts.push({
      permutations: [
        {
          kind: 'heads',
          count: Hk,
          members: [
            of(fused, 0, { inner: perKey * E }),
            of(fused, 0, { offset: H * E, inner: E }),
            of(fused, 0, { offset: (H + Hk) * E, inner: E }),
            of('attention.dense.weight', 1, { inner: perKey * E }),
          ],
        },
        {
          kind: 'heads',
          count: perKey,
          members: [of(fused, 0, { outer: Hk, inner: E }), of('attention.dense.weight', 1, { outer: Hk, inner: E })],
        },
      ],
      scales: [],
      rotations: [
        {
          kind: 'values',
          count: E,
          members: [of(fused, 0, { offset: (H + Hk) * E, outer: Hk }), of('attention.dense.weight', 1, { outer: H })],
        },
      ],
    });
    if (table.has(`${prefix}.attention.quasar_attention.q_proj.weight`))
      parts.push(quasarAttention(`${prefix}.attention.quasar_attention`, H, E, false));
    if (table.has(`${prefix}.attention.raven_attention.r_proj.weight`)) parts.push(raven(prefix, config));
    if (layer < config.first_k_dense_replace) {
      parts.push(feedForward(`${prefix}.mlp`, config.intermediate_size, '_proj'));
      continue;
    }
    parts.push(
      {
        permutations: [
          {
            kind: 'experts',
            count: X / groups,
            members: ['mlp.gate.weight', 'mlp.gate.expert_bias', 'mlp.experts_w12', 'mlp.experts_w3'].map((name) =>
              of(name, 0, { outer: groups }),
            ),
          },
        ],
        scales: [
          norm(D, `${prefix}.post_attention_layernorm.weight`, [
            of('mlp.gate.weight', 1),
            of('mlp.experts_w12', 1),
            of('mlp.shared_experts.gate_proj.weight', 1),
            of('mlp.shared_experts.up_proj.weight', 1),
          ]),
        ],
        rotations: [],
      },
      expertUnits(`${prefix}.mlp`, F),
      feedForward(`${prefix}.mlp.shared_experts`, config.num_shared_experts * F, '_proj'),
    );
  }
  parts.push({
    permutations: [],
    scales: [norm(D, 'model.norm.weight', [{ name: 'lm_head.weight', axis: 1 }])],
    rotations: [],
  });
  parts.push(
    residual(config, D, (name, shape) => {
      if (/experts_w12/.test(name)) return 1;
      if (/experts_w3/.test(name)) return 2;
      if (/input_layernorm|post_attention_layernorm|model\.norm|channel_gain/.test(name)) return 0;
      if (shape.length !== 2 || /g_proj\.1/.test(name)) return null;
      return /(dense|o_proj|down_proj|adapter_up)\.weight$/.test(name) ? 0 : 1;
    }),
  );
  return joined(parts);
}

/** Groups of heads that share a key head, and the slots of every head. */
function raven(prefix: string, config: QuasarLongConfig): Symmetries {
  const { num_attention_heads: H, num_key_value_heads: Hk, head_dim: E, hybrid_raven_slots: M } = config;
  const of = at(`${prefix}.attention.raven_attention`);
  const perKey = H / Hk;
  return {
    permutations: [
      {
        kind: 'heads',
        count: Hk,
        members: [
          of('q_proj.weight', 0, { inner: perKey * E }),
          of('k_proj.weight', 0, { inner: E }),
          of('v_proj.weight', 0, { inner: E }),
          of('r_proj.weight', 0, { inner: perKey * M }),
          ...['a_proj.weight', 'A_log', 'dt_bias'].map((name) => of(name, 0, { inner: perKey })),
          of('g_norm.weight', 0, { inner: perKey * E }),
          of('o_proj.weight', 1, { inner: perKey * E }),
        ],
      },
      { kind: 'slots', count: M, members: [of('r_proj.weight', 0, { outer: H })] },
    ],
    scales: [],
    rotations: [],
  };
}
