/**
 * @file One hostile submission: what it tries, how it is made, and what the contest has to say to it.
 *
 * The corpus is data for three readers: the test that sends every attack through hub, chain and validator, the table in
 * docs/submissions.md, and whoever wants to know what is refused and why.
 */
import type { IncomingMessage, ServerResponse } from 'node:http';
import { emitTokenizerJson, writeSafetensors } from '@quasar/model';
import { blend, drawWeights, MICRO, MICRO_TOKENIZER, type Weights } from '../checkpoints.ts';
import { BASE, TEACHER } from '../contest.ts';
import { type Ground, SMALLEST } from './ground.ts';

/**
 * What a submission ends as. `judged`: it is a valid model and meets the king, whom it does not beat by the attack.
 * `DEFERRED`: near a copy, but not proven one. `no verdict`: the hub's doing, not the submission's; it stays in the contest and is asked for again.
 */
export type Label = 'COPY' | 'REMOVED' | 'INVALID' | 'EVAL_ERROR' | 'DEFERRED' | 'judged' | 'no verdict';

export type Files = ReadonlyMap<string, Uint8Array>;

/** The model an attack starts from: a trained student that would be accepted. */
export interface Honest {
  weights: Weights;
  files: Files;
}

/** An entry of a listing as the hub sends it. */
export interface Entry {
  type: string;
  path: string;
  size: number;
  oid: string;
  lfs?: { oid: string; size: number };
}

/** `does` as soon as a unit of this kind is computed. */
export interface Hole {
  does: 'abort' | 'exit' | 'loop' | 'memory' | 'heap' | 'nonsense';
  at: 'fingerprint' | 'kl' | 'answers' | 'rollouts';
}

export interface Attack {
  name: string;
  /** In one line, for the table. */
  tries: string;
  label: Label;
  /** One of the codes of its issues; null when there is none. */
  code: string | null;
  /** What is published. Default: the honest files. */
  files?(honest: Honest): Files;
  /** What is put on chain. Default: the repository and its revision. */
  commitment?(repo: string, revision: string, victimRevision: string): string;
  /** What the hub lists in place of the truth. */
  listing?(entries: Entry[]): unknown;
  /** What the hub answers when a file is asked for (`path`), or the listing (null). False: as it should. */
  answer?(path: string | null, request: IncomingMessage, response: ServerResponse): boolean;
  /** What happens to the repository after the commitment. */
  later?: 'deleted' | 'private' | 'moved on';
  /** What the engine does with this model, through a hole in it that nobody knows of: in the process that computes it. */
  hole?: Hole;
  /** Committed so many times, in as many blocks, before anybody looks. */
  times?: number;
  /** Judged once, then published as a new revision and committed again by the same hotkey: the label is that of the second. */
  again?: 'new revision' | 'same revision';
  /** Committed before anybody else. */
  early?: boolean;
}

/** An attack by its files that a precheck names. */
export const refused = (name: string, tries: string, code: string, files: (honest: Honest) => Files): Attack => ({
  name,
  tries,
  label: 'INVALID',
  code: `precheck.${code}`,
  files,
});

export interface AttackGroup {
  title: string;
  attacks: Attack[];
  /** Default: the smallest model, and the rules as they are. */
  ground?: Ground;
}

/** Another model for every seed, so that honest ones are no copies of one another. */
export function honest(seed: string, { config, base, teacher }: Ground = SMALLEST): Honest {
  const weights = blend(blend(base, teacher, 0.3), drawWeights(config, `honest/${seed}`), 0.2);
  return { weights, files: checkpointFiles(weights, config) };
}

export function checkpointFiles(weights: Weights, config: unknown = MICRO): Map<string, Uint8Array> {
  return new Map([
    ['config.json', text(`${JSON.stringify(config, null, 2)}\n`)],
    ['tokenizer.json', text(emitTokenizerJson(MICRO_TOKENIZER.vocabulary))],
    ['model.safetensors', writeSafetensors(weights)],
  ]);
}

export const text = (content: string): Uint8Array => new TextEncoder().encode(content);
export const bytes = (...values: number[]): Uint8Array => Uint8Array.from(values);

type Change = (honest: Honest) => Files;

/** The honest files with another one added or replaced. */
export const withFile =
  (path: string, content: string | Uint8Array | ((old: Uint8Array) => Uint8Array)): Change =>
  ({ files }) => {
    const old = files.get(path) ?? new Uint8Array();
    const given = typeof content === 'function' ? content(old) : content;
    return new Map(files).set(path, typeof given === 'string' ? text(given) : given);
  };

export const withoutFile =
  (...paths: string[]): Change =>
  ({ files }) =>
    new Map([...files].filter(([path]) => !paths.includes(path)));

export const withWeights =
  (change: (weights: Weights) => Weights): Change =>
  (honest) =>
    new Map(honest.files).set('model.safetensors', writeSafetensors(change(honest.weights)));

/** The honest files, config.json with these keys; undefined removes one. */
export const withConfig = (change: object): Change => withFile('config.json', JSON.stringify({ ...MICRO, ...change }));

/** config.json as other text that is made of the honest one. */
export const withConfigText = (change: (json: string) => string): Change =>
  withFile('config.json', (old) => text(change(new TextDecoder().decode(old))));

/** Every value of one tensor through `change`. */
export function editTensor(weights: Weights, name: string, change: (value: number, index: number) => number): Weights {
  const tensor = weights.get(name);
  if (!tensor) throw new Error(`the corpus names a tensor that no model has: ${name}`);
  return new Map(weights).set(name, { ...tensor, values: tensor.values.map(change) });
}

export const withTensor = (name: string, change: (value: number, index: number) => number): Change =>
  withWeights((weights) => editTensor(weights, name, change));

/** The weights of somebody else, changed or not, in place of own ones. */
export const stolen =
  (change: (weights: Weights) => Weights = (weights) => weights, from: Weights = SMALLEST.victim): Change =>
  ({ files }) =>
    new Map(files).set('model.safetensors', writeSafetensors(change(from)));

export { BASE, TEACHER };
