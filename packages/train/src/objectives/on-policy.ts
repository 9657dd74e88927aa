/**
 * @file On-policy batches: the student goes on from beginnings of documents, and a teacher judges what it wrote (Agarwal et al.
 * 2023). What is learned are the student's own tokens.
 */
import { Rng } from '@quasar/base';
import { Engine } from '@quasar/infer';
import type { Checkpoint } from '@quasar/model';
import type { Tensor } from '@quasar/tensor';
import { type Batch, type Document, pack } from '../data/batch.ts';
import type { Terms } from './distil.ts';
import type { Objective } from './objective.ts';

export interface OnPolicySpec {
  /** Of the batches. */
  share: number;
  /** That the student writes after each beginning. Default 32. */
  newTokens?: number | undefined;
  /** What is learned of them; cross-entropy has no meaning here. Default: reverse 1. */
  terms?: Omit<Terms, 'ce'> | undefined;
}

/** Of an objective: a share of the batches becomes the student's own, which ones the seed says. */
export function onPolicyBatches({ share, newTokens }: OnPolicySpec): NonNullable<Objective['prepare']> {
  return async (student, batch, seed) =>
    new Rng(`${seed}/on policy`).next() < share ? ownBatch(student, batch, seed, newTokens) : batch;
}

/**
 * A batch of the same shape that the student wrote, sampled at temperature 1: of each document of `batch` some first tokens, then
 * its own. The batch itself where no document has two tokens.
 */
export async function ownBatch(student: Checkpoint, batch: Batch, seed: string, newTokens = 32): Promise<Batch> {
  const { B, T } = batch;
  const documents = documentsOf(batch).filter(({ length }) => length > 1);
  if (documents.length === 0) return batch;
  const rng = new Rng(`${seed}/beginnings`);
  const prompts: Int32Array[] = [];
  for (let b = 0; b < B; b++)
    for (let t = 0; t < T; ) {
      const document = documents[prompts.length % documents.length] as Int32Array;
      const longest = Math.max(1, Math.min(document.length - 1, T - t - newTokens));
      const prompt = document.slice(0, rng.int(1, longest));
      prompts.push(prompt);
      t += prompt.length + newTokens;
    }
  const { config, parameters, tokenizer } = student;
  const engine = new Engine(config, parameters, tokenizer, ([...parameters.values()][0] as Tensor).device);
  const options = { maxNewTokens: newTokens, temperature: 1, seed, stopTokens: [] };
  const written = (await engine.generate(prompts, options)).map(({ tokens }, i): Document => {
    const prompt = prompts[i] as Int32Array;
    const ids = Int32Array.from([...prompt, ...tokens]);
    return { ids, weights: Float32Array.from(ids, (_, t) => (t < prompt.length ? 0 : 1)) };
  });
  let at = 0;
  return { ...pack({ next: () => written[at++] as Document }, B, T), isOwn: true };
}

/** As they lie in the rows. */
function documentsOf({ B, T, tokens, positions }: Batch): Int32Array[] {
  const found: Int32Array[] = [];
  for (let b = 0; b < B; b++)
    for (let start = b * T, t = start + 1; t <= (b + 1) * T; t++) {
      if (t < (b + 1) * T && positions[t] !== 0) continue;
      found.push(tokens.slice(start, t));
      start = t;
    }
  return found;
}
