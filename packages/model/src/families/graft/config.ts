/**
 * @file The configuration of a graft: Quasar attention beside the attention of some layers of a model whose weights stay as
 * they are. The form is that of the hybrid layers of Quasar-Preview (architecture §2.2): y + σ(γ)·branch(u).
 */
import type { QuasarAttentionOptions } from '../../layers/quasar-attention.ts';
import type { QuasarConfig } from '../quasar/config.ts';
import type { QuasarLongConfig } from '../quasar-long/config.ts';
import type { Qwen35Config } from '../qwen3-5/config.ts';

/** What can be grafted upon. */
export type BaseConfig = QuasarConfig | QuasarLongConfig | Qwen35Config;

export interface GraftConfig {
  model_type: 'quasar_graft';
  /** That of the base. */
  vocab_size: number;
  base: BaseConfig;
  /** Layers of the base that have a branch, in order. */
  layers: number[];
  heads: number;
  head_dim: number;
  /** Width of the short convolution of q, k and v; 0: none. */
  conv_size: number;
  /** γ of a fresh branch. Its output projection is 0, so that whatever γ, a fresh graft is its base. */
  gate_init: number;
}

/** Of a branch: the exact rule; as in Quasar-Preview it has guards and does not rotate. */
export function branchOptions({ heads, head_dim, conv_size }: GraftConfig): QuasarAttentionOptions {
  return {
    at: 'attn',
    heads,
    headDim: head_dim,
    convSize: conv_size,
    rotates: false,
    isGuarded: true,
    normEps: 1e-6,
    quasar_variant: 'exact',
    quasar_beta: 'softplus',
    qk_l2norm: true,
    quasar_decay: 'none',
  };
}
