import { SIZES, tensorTable } from '@quasar/model';
import { expect, it } from 'vitest';
import { tensorGroups } from './tensor-groups.ts';

/** The corrected list of upstream (subnet.md section 5), for 24 layers of which the first four are dense. */
const MIXTURE = [4, 10, 16, 22].flatMap((layer) =>
  [
    ...['experts_w12', 'experts_w3', 'router.router_weights', 'w_down_proj.weight', 'w_up_proj.weight'],
    ...['gate', 'up', 'down'].map((name) => `shared_experts.0.${name}.weight`),
  ].map((name) => `model.layers.${layer}.ffn.${name}`),
);
const UPSTREAM_LIST = {
  control: ['model.all_moe_bias', 'model.all_moe_momentum', 'model.all_moe_max_vio'],
  train: [0, 1]
    .flatMap((layer) => ['down', 'gate', 'up'].map((n) => `model.layers.${layer}.ffn.${n}.weight`))
    .concat(MIXTURE),
  stable: [
    ...['model.embed_tokens.weight', 'model.embed_norm.weight', 'model.norm.weight'],
    ...['ln1', 'ln2'].map((name) => `model.layers.0.${name}.weight`),
  ],
};

it.each(['control', 'train', 'stable'] as const)(
  'every tensor that upstream lists as %s exists and is in that group',
  (group) => {
    const groups = tensorGroups(SIZES['3b']);
    expect(UPSTREAM_LIST[group].map((name) => [name, groups.get(name)])).toEqual(
      UPSTREAM_LIST[group].map((name) => [name, group]),
    );
  },
);

it.each(['nano', 'preview-nano', '3b', 'preview'] as const)(
  '%s: every tensor of the table has a group, and no other',
  (size) => {
    expect([...tensorGroups(SIZES[size]).keys()]).toEqual([...tensorTable(SIZES[size]).keys()]);
  },
);
