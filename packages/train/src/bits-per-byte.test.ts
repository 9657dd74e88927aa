/** @file Bits per byte: every prediction once, with enough before it; the value that the model's own log-probabilities give. */
import { Engine } from '@quasar/infer';
import { openDevice } from '@quasar/tensor';
import { describe, expect, it } from 'vitest';
import { type BitsPerByte, bitsPerByte, joinTexts, type ScoredText, scoredWindows } from './bits-per-byte.ts';
import { TINY, tinyCheckpoint } from './testing/tiny.ts';

function textOf(lengths: number[], bytesPerToken = 2.5): ScoredText {
  const documents = lengths.map((length, d) =>
    Int32Array.from({ length }, (_, t) => (7 * t * t + d) % TINY.vocab_size),
  );
  return {
    documents: lengths.length,
    tokens: lengths.reduce((sum, length) => sum + length, 0),
    bytesPerToken,
    length: (document) => lengths[document] as number,
    read: (document, from, to) => ({ ids: (documents[document] as Int32Array).slice(from, to) }),
  };
}

describe('windows', () => {
  it.each([1, 2, 3, 8, 9, 12, 13, 16, 17, 40, 41])('a document of %i tokens: each prediction once', (length) => {
    const T = 8;
    const text = textOf([length, 5]);
    const seen = [...scoredWindows(text, 2, T)].flatMap((batch) =>
      [...batch.targets.entries()].filter(([i]) => batch.weights[i] === 1).map(([, target]) => target),
    );
    const wanted = [0, 1].flatMap((document) => [...text.read(document, 1, text.length(document)).ids]);
    expect(seen).toEqual(wanted);
    for (const batch of scoredWindows(text, 2, T)) {
      for (let b = 0; b < batch.B; b++) {
        const first = batch.weights.subarray(b * T, (b + 1) * T).indexOf(1);
        expect([0, T / 2]).toContain(first);
      }
    }
  });
});

it('is what the log-probabilities of the documents say where windows cover them', async () => {
  const checkpoint = tinyCheckpoint('bits');
  const text = textOf([20, 1, 31]);
  const engine = new Engine(checkpoint.config, checkpoint.parameters, checkpoint.tokenizer, openDevice());
  let nats = 0;
  for (const document of [0, 2]) {
    const { ids } = text.read(document, 0, text.length(document));
    for (const logprob of await engine.logprobs(ids)) nats -= logprob;
  }
  const progress: number[] = [];
  const found = await bitsPerByte(checkpoint, text, { T: 32, B: 3, onProgress: (done) => progress.push(done) });
  expect(found).toMatchObject({ predictions: 49, bytes: 123 });
  expect(found.bitsPerByte).toBeCloseTo(nats / Math.LN2 / 123, 4);
  expect(progress).toEqual([49]);
  const halves = await bitsPerByte(checkpoint, text, { T: 8, B: 2 });
  expect(halves.predictions).toBe(49);
  expect(halves.bitsPerByte).not.toBe(found.bitsPerByte);
});

it('of several texts it is that of all their predictions and bytes', async () => {
  const checkpoint = tinyCheckpoint('bits');
  const texts = [textOf([20, 7], 2.5), textOf([1], 1), textOf([31, 9, 12], 3.5)];
  const bits = async (text: ScoredText) => bitsPerByte(checkpoint, text, { T: 16, B: 1 });
  const apart = await Promise.all(texts.map(bits));
  const whole = await bits(joinTexts(texts));
  const sum = (of: (one: BitsPerByte) => number) => apart.reduce((total, one) => total + of(one), 0);
  expect(whole.predictions).toBe(sum(({ predictions }) => predictions));
  expect(Math.abs(whole.bytes - sum(({ bytes }) => bytes))).toBeLessThanOrEqual(2);
  const nats = sum((one) => (one.bytes === 0 ? 0 : one.bitsPerByte * one.bytes));
  expect((whole.bitsPerByte * whole.bytes) / nats).toBeCloseTo(1, 5);
});

it('stops', async () => {
  const signal = AbortSignal.abort();
  const stopped = bitsPerByte(tinyCheckpoint('bits'), textOf([20]), { T: 8, B: 2, signal });
  await expect(stopped).rejects.toMatchObject({ code: 'train.cancelled' });
});
