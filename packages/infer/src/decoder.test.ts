/** @file Replayed decoding against the ordinary forward pass, bit for bit. */
import { Rng } from '@quasar/base';
import { forward, initialParameters, type ModelState, type QuasarConfig, vocabularyLogits } from '@quasar/model';
import { nativeAvailable, nativeDevice, referenceDevice, scope } from '@quasar/tensor';
import { describe, expect, it } from 'vitest';
import { Decoder } from './decoder.ts';
import { TINY, tinyEngine } from './testing/tiny-engine.ts';

const DEVICES = {
  reference: () => referenceDevice({ precision: 'f32' }),
  ...(nativeAvailable() && { native: () => nativeDevice() }),
};

describe.each(Object.entries(DEVICES))('%s', (_, open) => {
  const device = open();

  async function start() {
    const { parameters } = await tinyEngine('decoder', device);
    const step = (tokens: number[], T: number, state?: ModelState) =>
      scope(() => {
        const B = tokens.length / T;
        const out = forward(TINY, parameters, { tokens: Int32Array.from(tokens), B, T, state });
        const last = Int32Array.from({ length: B }, (_, b) => (b + 1) * T - 1);
        return { logits: vocabularyLogits(parameters, out.hidden, last), state: out.state };
      });
    const prompt = [5, 6, 7, 8, 9, 10, 200, 201, 3, 3, 3, 4];
    return { parameters, step, ordinary: step(prompt, 4), decoder: new Decoder(TINY, parameters, step(prompt, 4)) };
  }

  it('gives the bits of the ordinary path, also after rows left the batch', async () => {
    const { step, ordinary: first, decoder } = await start();
    let ordinary = first;
    const same = async () => expect(await decoder.logits.read()).toEqual(await ordinary.logits.read());
    await same();
    for (let n = 0; n < 5; n++) {
      const tokens = [n, 20 + n, 40 - n];
      ordinary = step(tokens, 1, ordinary.state);
      decoder.next(Int32Array.from(tokens));
      await same();
    }
    for (const rows of [[2, 0], [1]]) {
      for (let n = 0; n < 4; n++) {
        const tokens = rows.map((row) => 50 + row + n);
        const state: ModelState = n === 0 ? ordinary.state.select(rows) : ordinary.state;
        ordinary = step(tokens, 1, state);
        decoder.next(Int32Array.from(tokens), n === 0 ? rows : undefined);
        await same();
      }
    }
    decoder.dispose();
  });

  it('writes latent memory when a segment of 64 tokens is complete, as the ordinary path does', async () => {
    const config: QuasarConfig = { ...TINY, memory_slots: 16, memory_dim: 16 };
    const parameters = initialParameters(config, device, new Rng('memory'));
    const step = (tokens: number[], state?: ModelState) =>
      scope(() => {
        const out = forward(config, parameters, { tokens: Int32Array.from(tokens), B: 1, T: tokens.length, state });
        const last = Int32Array.of(tokens.length - 1);
        return { logits: vocabularyLogits(parameters, out.hidden, last), state: out.state };
      });
    const prompt = Array.from({ length: 60 }, (_, i) => (7 * i) % 250);
    let ordinary = step(prompt);
    const decoder = new Decoder(config, parameters, step(prompt));
    for (let n = 0; n < 12; n++) {
      ordinary = step([n], ordinary.state);
      decoder.next(Int32Array.of(n));
      expect(await decoder.logits.read(), `token ${60 + n}`).toEqual(await ordinary.logits.read());
    }
    decoder.dispose();
  });

  it('refuses foreign tokens and freed weights, and can be freed then', async () => {
    const { parameters, decoder } = await start();
    const foreign = Int32Array.of(1, 2, TINY.vocab_size);
    expect(() => decoder.next(foreign)).toThrow(expect.objectContaining({ code: 'model.token_out_of_range' }));
    decoder.next(Int32Array.of(1, 2, 3));
    expect(() => decoder.next(foreign)).toThrow(expect.objectContaining({ code: 'model.token_out_of_range' }));
    parameters.get('lm_head.weight')?.dispose();
    expect(() => decoder.next(Int32Array.of(1, 2, 3))).toThrow(expect.objectContaining({ code: 'tensor.freed' }));
    expect(() => decoder.next(Int32Array.of(1), [0])).toThrow(expect.objectContaining({ code: 'tensor.freed' }));
    decoder.dispose();
  });
});
