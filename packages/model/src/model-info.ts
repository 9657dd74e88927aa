/** @file What a model of any family is and costs, from its tensor table alone: nothing is allocated. */
import { sizeOf } from '@quasar/tensor';
import type { SequenceCost } from './families/family.ts';
import { activeShare, countParameters, familyOf, type ModelConfig } from './families/index.ts';
import { fitsIn16Bits, isTrained, type Role } from './tensor-table.ts';

export interface PartInfo {
  part: string;
  tensors: number;
  parameters: number;
  /** Touched by one token. */
  active: number;
}

export interface ModelInfo {
  family: string;
  layers: Record<string, number>;
  tensors: number;
  parameters: { total: number; active: number };
  /** In the order of the tensor table; buffers do not count. */
  parts: PartInfo[];
  sequence: SequenceCost;
  /** Operations of one token: 2 per active parameter and pass over the layers, and the recurrences. */
  flopsPerToken: { products: number; recurrences: number };
  /** Bytes of weights as kept for inference, and of weights, gradients and Adam's moments; activations come on top. */
  memory: { inference: { bf16: number; f32: number }; training: { bf16: number; f32: number } };
}

const PART_OF_ROLE: Record<Role, string> = {
  embedding: 'embedding',
  head: 'head',
  matrix: 'projections',
  norm: 'norms and gates',
  scalar: 'norms and gates',
  expert: 'routed experts',
  table: 'memory tables',
  buffer: 'buffers',
};
/** float32 gradient and two moments of AdamW; 16-bit weights have a float32 master besides. */
const TRAINING_BYTES = { gradientAndMoments: 12, master: 4 };

export function modelInfo(config: ModelConfig): ModelInfo {
  const family = familyOf(config);
  const table = family.tensorTable(config);
  const sequence = family.sequenceCost(config);
  const parts = new Map<string, PartInfo>();
  const inference = { bf16: 0, f32: 0 };
  const training = { bf16: 0, f32: 0 };
  let products = 0;
  for (const [name, spec] of table) {
    const size = sizeOf(spec.shape);
    const halves = fitsIn16Bits(spec);
    inference.bf16 += size * (halves ? 2 : 4);
    inference.f32 += size * 4;
    const trained = isTrained(spec) ? TRAINING_BYTES.gradientAndMoments : 0;
    training.bf16 += size * (trained + (halves ? 2 + (trained > 0 ? TRAINING_BYTES.master : 0) : 4));
    training.f32 += size * (trained + 4);
    if (spec.role === 'buffer') continue;
    const part = spec.part ?? PART_OF_ROLE[spec.role];
    const info = parts.get(part) ?? { part, tensors: 0, parameters: 0, active: 0 };
    parts.set(part, info);
    const active = size * activeShare(config, spec.role);
    info.tensors++;
    info.parameters += size;
    info.active += active;
    products += 2 * active * (/\.layers\.\d+\./.test(name) ? sequence.loops : 1);
  }
  return {
    family: config.model_type,
    layers: family.layers(config),
    tensors: table.size,
    parameters: countParameters(config),
    parts: [...parts.values()],
    sequence,
    flopsPerToken: { products, recurrences: sequence.recurrenceFlops },
    memory: { inference, training },
  };
}
