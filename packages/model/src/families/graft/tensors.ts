/** @file The tensors of a graft: those of its base under their own names, frozen, and those of its branches. */
import { quasarAttentionTensors } from '../../layers/quasar-attention.ts';
import { bias, constant, inPart, type TensorSpec } from '../../tensor-table.ts';
import { familyOf } from '../index.ts';
import { branchOptions, type GraftConfig } from './config.ts';

type Table = Map<string, TensorSpec>;

/** Every tensor of a whole checkpoint in file order, the branches last. */
export function graftTensors(config: GraftConfig): Table {
  const base = familyOf(config.base).tensorTable(config.base);
  const frozen = [...base].map(([name, spec]) => [name, { ...spec, isFrozen: true }] as const);
  return new Map([...frozen, ...branchTensors(config, base)]);
}

/** Those that belong to public checkpoints of the layer and take no part in its rule. */
const UNUSED = /f_proj|A_log|dt_bias/;

/** The tensors of the branches alone. @param base the table of the base */
export function branchTensors(config: GraftConfig, base = familyOf(config.base).tensorTable(config.base)): Table {
  const width = widthOf(base);
  const entries = quasarAttentionTensors(width, branchOptions(config), {
    projection: (inputs) => ({ kind: 'normal', std: 0.5 / Math.sqrt(inputs) }),
    output: constant(0),
  }).filter(([name]) => !UNUSED.test(name));
  const own = inPart('grafted branches', [...entries, bias('gate', 1, config.gate_init)]);
  return new Map(
    config.layers.flatMap((layer) =>
      own.map(([name, spec]) => [`graft.layers.${layer}.${name}`, { ...spec, part: 'grafted branches' }] as const),
    ),
  );
}

/** Width of the residual stream: that of the embedding. */
function widthOf(base: Table): number {
  const embedding = [...base.values()].find(({ role }) => role === 'embedding') as TensorSpec;
  return embedding.shape[1] as number;
}

/** Layers of a model, by the names of its tensors. */
export function depthOf(base: Table): number {
  let depth = 0;
  for (const name of base.keys()) depth = Math.max(depth, Number(/^model\.layers\.(\d+)\./.exec(name)?.[1] ?? -1) + 1);
  return depth;
}
