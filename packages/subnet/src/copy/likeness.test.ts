/** @file Real files through the real checks: who is found to be a copy of whom, and by what. The measured form: bench/copies.js. */
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { Engine } from '@quasar/infer';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { createModelLock, type ModelLock } from '../precheck/model-lock.ts';
import { scanWeights } from '../precheck/scan-weights.ts';
import { LOCAL, UPSTREAM } from '../rules/config.ts';
import { blend, drawWeights, MICRO, noisy, type Weights, writeCheckpoint } from '../testing/checkpoints.ts';
import { permuted, rescaled, rotated } from '../testing/disguises.ts';
import { symmetriesOf } from '../testing/symmetries.ts';
import { baseTraces } from './base-traces.ts';
import { contentRecord, samplePlan } from './content.ts';
import { layerDistance } from './distances.ts';
import { type Fingerprint, type FingerprintProbes, fingerprint, fingerprintProbes } from './fingerprint.ts';
import { likeness } from './likeness.ts';
import type { BaseTraces, ContentRecord } from './record.ts';
import { derive } from './secret.ts';

const CONFIG = { ...MICRO, d_model: 64, n_heads: 2 };
const SYMMETRIES = symmetriesOf(CONFIG);
const root = mkdtempSync(join(tmpdir(), 'likeness-'));
let directories = 0;
const write = (weights: Weights) => writeCheckpoint(join(root, `model-${directories++}`), weights, CONFIG);

const base = drawWeights(CONFIG, 'base');
/** Two models that went different ways from one base. */
const [king, other] = ['king', 'other'].map((seed) => blend(base, drawWeights(CONFIG, seed), 0.4)) as [
  Weights,
  Weights,
];
const disguised = (weights: Weights) => {
  const scaled = rescaled(
    rotated(weights, SYMMETRIES.rotations, 'r'),
    SYMMETRIES.scales,
    's',
    (rng) => 0.5 + rng.next(),
  );
  return permuted(scaled, SYMMETRIES.permutations, 'p');
};

class Validator {
  readonly #secret: string;
  readonly #probes: FingerprintProbes;
  readonly #lock: ModelLock;
  base!: BaseTraces;
  king!: ContentRecord;

  constructor(name: string, lock: ModelLock) {
    this.#secret = derive(name, 'test');
    this.#probes = fingerprintProbes(this.#secret, CONFIG.vocab_size);
    this.#lock = lock;
  }

  static async open(name: string, lock: ModelLock, kingDirectory: string): Promise<Validator> {
    const validator = new Validator(name, lock);
    validator.base = await baseTraces(lock, validator.#secret, UPSTREAM.copies, (at) => validator.#run(at));
    validator.king = await validator.record(kingDirectory);
    return validator;
  }

  async record(directory: string): Promise<ContentRecord> {
    const scan = await scanWeights(directory, samplePlan(this.#secret, UPSTREAM.copies));
    const submission = {
      id: directory,
      uid: 1,
      hotkey: 'h',
      repo: 'a/b',
      revision: 'a'.repeat(40),
      revealedAtBlock: 1,
    };
    return { ...contentRecord(submission, scan, this.#lock), fingerprint: await this.#run(directory) };
  }

  async verdict(weights: Weights): Promise<string | null> {
    const found = likeness(await this.record(write(weights)), this.king, UPSTREAM.copies, this.base);
    return found && (found.certainty === 'copy' ? found.kind : 'near');
  }

  async #run(directory: string): Promise<Fingerprint> {
    const engine = await Engine.load(directory);
    try {
      return await fingerprint(engine, this.#probes);
    } finally {
      engine.dispose();
    }
  }
}

let validators: Validator[];

beforeAll(async () => {
  const lock = await createModelLock(write(base), LOCAL.limits);
  const directory = write(king);
  validators = [await Validator.open('ann', lock, directory), await Validator.open('bob', lock, directory)];
});
afterAll(() => rmSync(root, { recursive: true, force: true }));

const kinds = [...new Set(SYMMETRIES.permutations.map(({ kind }) => kind))];
const scales = [...new Set(SYMMETRIES.scales.map(({ kind }) => kind))];
/** In so small a model one kind may move few tensors: then those that did not move, or what it says, are the proof. */
const ANY_LAYER = expect.stringMatching(/^(disguise|tensors|chunks|activations)$/);

const CASES: [string, () => Weights, unknown][] = [
  ['the same again', () => king, 'content'],
  ['in another file order', () => new Map([...king].reverse()), 'content'],
  ['with a little noise', () => noisy(king, 'n', 2e-4), expect.stringMatching(/^(noise|activations)$/)],
  ['with three norms of its own', () => withOwnNorms(king), 'tensors'],
  ...kinds.map((kind): (typeof CASES)[number] => [
    `${kind} permuted`,
    () =>
      permuted(
        king,
        SYMMETRIES.permutations.filter((one) => one.kind === kind),
        kind,
      ),
    ANY_LAYER,
  ]),
  ...scales.map((kind): (typeof CASES)[number] => [
    `${kind} scaled`,
    () =>
      rescaled(
        king,
        SYMMETRIES.scales.filter((one) => one.kind === kind),
        kind,
      ),
    ANY_LAYER,
  ]),
  ['every symmetry at once', () => disguised(king), 'disguise'],
  ['every symmetry at once and noise of 1 %', () => disguised(noisy(king, 'n', 0.01)), 'disguise'],
  ['noise of 5 %: nobody can tell it from training, the duel decides', () => noisy(king, 'n', 0.05), null],
  ['another way from the same base', () => other, null],
  ['another way from the same base, in disguise', () => disguised(other), null],
  ['half way to another model', () => blend(king, other, 0.5), null],
];

function withOwnNorms(weights: Weights): Weights {
  const own = new Map(weights);
  for (const name of ['model.norm.weight', 'model.embed_norm.weight', 'model.layers.0.ln1.weight']) {
    const tensor = weights.get(name)!;
    own.set(name, { ...tensor, values: Float32Array.from(tensor.values, (value) => 1.1 * value) });
  }
  return own;
}

describe('a model made of the king', () => {
  it.each(CASES)('%s', async (_name, weights, expected) => {
    for (const validator of validators) expect(await validator.verdict(weights())).toEqual(expected);
  });
});

it('layers are apart as the work in them is, not as its coordinates are', async () => {
  const [validator] = validators as [Validator];
  const print = async (weights: Weights) => (await validator.record(write(weights))).fingerprint!;
  const origin = validator.base.fingerprint!;
  const own = validator.king.fingerprint!;
  const apart = async (weights: Weights) => layerDistance(await print(weights), own, origin).distance;
  expect(await apart(permuted(king, SYMMETRIES.permutations, 'p'))).toBeLessThan(1e-3);
  expect(await apart(disguised(king))).toBeLessThan(0.02);
  expect(await apart(other)).toBeGreaterThan(0.3);
  // What neither of them trained is no evidence.
  expect(layerDistance(origin, own, origin).layers).toBe(0);
});

it('what is kept of a forward pass is small enough for a log', () => {
  expect(JSON.stringify(validators[0]!.king.fingerprint).length).toBeLessThan(25_000);
});
