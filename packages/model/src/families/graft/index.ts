/** @file Grafts: Quasar attention added to some layers of a model of another family, whose weights are frozen bit for bit. */
import type { Family, SequenceCost } from '../family.ts';
import { familyOf } from '../index.ts';
import type { GraftConfig } from './config.ts';
import { forwardGraft } from './forward.ts';
import { parseGraftConfig } from './parse-config.ts';
import { graftTensors } from './tensors.ts';

/** A frozen base keeps its expert bias as well: there is no `expertBias`. */
export const graft: Family<GraftConfig> = {
  parseConfig: parseGraftConfig,
  tensorTable: graftTensors,
  expertShare: ({ base }) => familyOf(base).expertShare(base),
  withTokens: (config, tokens) => ({ ...config, base: familyOf(config.base).withTokens(config.base, tokens) }),
  layers: ({ base, layers }) => ({ ...familyOf(base).layers(base), 'grafted quasar': layers.length }),
  sequenceCost,
  forwardBlock: forwardGraft,
};

function sequenceCost({ base, layers, heads: H, head_dim: E, conv_size: W }: GraftConfig): SequenceCost {
  const cost = familyOf(base).sequenceCost(base);
  const branches = cost.loops * layers.length;
  const floats = H * E * E + 3 * Math.max(W - 1, 0) * H * E;
  return {
    ...cost,
    stateBytes: cost.stateBytes + branches * floats * 4,
    recurrenceFlops: cost.recurrenceFlops + branches * H * (6 * E * E + 64 * 8 * E),
  };
}
