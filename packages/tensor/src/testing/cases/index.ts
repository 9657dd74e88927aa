/** @file Every case, by group. */
import type { Case } from '../case.ts';
import { attentionCases } from './attention.ts';
import { castCases } from './cast.ts';
import { elementwiseCases } from './elementwise.ts';
import { gateCases } from './gates.ts';
import { gemmCases } from './gemm.ts';
import { headCases } from './head.ts';
import { layoutCases } from './layout.ts';
import { lossCases } from './loss.ts';
import { memoryCases } from './memory.ts';
import { moeCases } from './moe.ts';
import { ngramCases } from './ngrams.ts';
import { normCases } from './norm.ts';
import { optimCases } from './optim.ts';
import { recurrenceCases } from './recurrence.ts';
import { ropeCases } from './rope.ts';
import { sequenceCases } from './sequence.ts';
import { slotCases } from './slots.ts';

export const CASE_GROUPS: Record<string, () => Promise<Case[]>> = {
  attention: attentionCases,
  cast: castCases,
  elementwise: elementwiseCases,
  gates: gateCases,
  gemm: gemmCases,
  layout: layoutCases,
  ngrams: ngramCases,
  norm: normCases,
  rope: ropeCases,
  slots: slotCases,
  memory: memoryCases,
  sequence: sequenceCases,
  recurrence: recurrenceCases,
  moe: moeCases,
  loss: lossCases,
  head: headCases,
  optim: optimCases,
};

export async function allCases(): Promise<Case[]> {
  return (await Promise.all(Object.values(CASE_GROUPS).map((make) => make()))).flat();
}
