/** @file What attacks meet: models of one shape, an earlier submission of somebody else, and bounds of the numbers. */
import type { QuasarConfig } from '@quasar/model';
import { LOCAL, type SubnetConfig } from '../../rules/config.ts';
import { blend, drawWeights, MICRO, type Weights } from '../checkpoints.ts';
import { BASE, TEACHER } from '../contest.ts';

export interface Ground {
  name: string;
  config: QuasarConfig;
  base: Weights;
  teacher: Weights;
  /** Who everybody copies from: revealed first, and honest. */
  victim: Weights;
  numbers: SubnetConfig['numbers'];
}

function ground(name: string, config: QuasarConfig, base: Weights, teacher: Weights): Ground {
  return { name, config, base, teacher, victim: blend(base, teacher, 0.6), numbers: LOCAL.numbers };
}

export const SMALLEST: Ground = ground('smallest', MICRO, BASE, TEACHER);

const TWO_HEADS_CONFIG: QuasarConfig = { ...MICRO, d_model: 64, n_heads: 2, top_k: 2 };

/** Heads can be exchanged only where there are two. */
export const TWO_HEADS: Ground = ground(
  'two heads',
  TWO_HEADS_CONFIG,
  drawWeights(TWO_HEADS_CONFIG, 'base'),
  drawWeights(TWO_HEADS_CONFIG, 'teacher', 6),
);

/** Every finite number passes: what stands behind the bounds has to hold by itself. */
export const UNBOUNDED: Ground = {
  ...SMALLEST,
  name: 'unbounded',
  numbers: { maxAbs: 3.4e38, maxNormWeight: 3.4e38, maxRmsRatio: 1e300, maxRouterBias: 3.4e38, maxDenormalShare: 1 },
};
