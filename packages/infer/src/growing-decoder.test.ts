/** @file Replayed decoding over caches with room, bit for bit as one ordinary forward pass per token. */
import { Rng } from '@quasar/base';
import {
  disposeParameters,
  familyOf,
  forward,
  initialParameters,
  type ModelConfig,
  type ModelState,
  vocabularyLogits,
} from '@quasar/model';
import {
  type Device,
  nativeAvailable,
  nativeDevice,
  referenceDevice,
  scope,
  wasmAvailable,
  wasmDevice,
} from '@quasar/tensor';
import { describe, expect, it } from 'vitest';
import { paddedBlocks } from './batches.ts';
import { Decoder } from './decoder.ts';
import { GROWING } from './testing/growing-models.ts';
import { randomPrompt, TOKENIZER } from './testing/tiny-engine.ts';

/** Both ways from the same prompts on, in step; every step compares logits and the size of the state. */
class Pair {
  readonly device: Device;
  readonly decoder: Decoder;
  readonly #config: ModelConfig;
  readonly #parameters: ReturnType<typeof initialParameters>;
  #plain: ReturnType<Pair['read']>;
  #step = 0;

  constructor(config: ModelConfig, device: Device, lengths: readonly number[]) {
    this.device = device;
    this.#config = config;
    this.#parameters = initialParameters(config, device, new Rng('growing'));
    const prompts = lengths.map((length) => randomPrompt(length, `prompt ${length}`));
    const read = () => {
      const [block] = paddedBlocks(prompts, TOKENIZER.padId);
      return this.read(block!);
    };
    this.#plain = read();
    this.decoder = new Decoder(config, this.#parameters, read());
  }

  read(input: { tokens: Int32Array; B: number; T: number; positions?: Int32Array; state?: ModelState }) {
    return scope(() => {
      const { hidden, state } = forward(this.#config, this.#parameters, input);
      const last = Int32Array.from({ length: input.B }, (_, b) => (b + 1) * input.T - 1);
      return { logits: vocabularyLogits(this.#parameters, hidden, last), state };
    });
  }

  get lengths(): Int32Array {
    return this.#plain.state.lengths;
  }

  async next(rows?: readonly number[]): Promise<void> {
    const before = this.#plain;
    const state = rows ? scope(() => before.state.select(rows)) : before.state;
    const B = state.batch;
    const tokens = Int32Array.from({ length: B }, (_, b) => (31 * this.#step + 7 * b) % 256);
    this.#step++;
    this.#plain = this.read({ tokens, B, T: 1, state });
    for (const old of new Set([state, before.state])) old.dispose();
    before.logits.dispose();
    this.decoder.next(tokens, rows);
    expect(await this.decoder.logits.read(), `lengths ${this.lengths}`).toEqual(await this.#plain.logits.read());
    expect(this.decoder.stateBytes).toBe(this.#plain.state.sizeBytes);
    const { cacheBytesPerToken } = familyOf(this.#config).sequenceCost(this.#config);
    const most = Math.max(16, ...this.lengths) * B * cacheBytesPerToken * (this.device.floatBytes / 4);
    expect(this.decoder.roomBytes).toBeLessThanOrEqual(most);
  }

  dispose(): void {
    this.decoder.dispose();
    this.#plain.logits.dispose();
    this.#plain.state.dispose();
    disposeParameters(this.#parameters);
  }
}

const models = Object.entries(GROWING);
const open = nativeAvailable() ? nativeDevice : () => referenceDevice({ precision: 'f32' });

describe.each(models)('%s', (_, config) => {
  const device = open();

  it('gives the bits of the ordinary path over hundreds of tokens, and frees what it made', async () => {
    const used = () => device.memory?.().usedBytes ?? 0;
    const before = used();
    const pair = new Pair(config, device, [5]);
    for (let n = 0; n < 200; n++) await pair.next();
    expect(pair.lengths).toEqual(Int32Array.of(205));
    pair.dispose();
    expect(used()).toBe(before);
  });

  it('goes on so when rows leave, and drops tokens that no row sees any more', async () => {
    const pair = new Pair(config, device, [5, 40, 17]);
    for (let n = 0; n < 30; n++) await pair.next();
    const full = pair.decoder.stateBytes;
    for (const rows of [[2, 0], [1], [0]]) for (let n = 0; n < 20; n++) await pair.next(n === 0 ? rows : undefined);
    expect(pair.lengths).toEqual(Int32Array.of(95));
    expect(pair.decoder.stateBytes).toBeLessThan(full);
    pair.dispose();
  });
});

// Uninitialised memory of the reference device is NaN: nothing may read the room.
const others = {
  reference: () => referenceDevice({ precision: 'f32' }),
  ...(wasmAvailable() && { wasm: () => wasmDevice({ threads: 2 }) }),
};
describe.each(Object.entries(others))('on the %s device', (_, openOther) => {
  const device = openOther();

  it.each(models)('%s: the bits of the ordinary path', async (_, config) => {
    const pair = new Pair(config, device, [3, 20]);
    for (let n = 0; n < 24; n++) await pair.next();
    for (let n = 0; n < 12; n++) await pair.next(n === 0 ? [0] : undefined);
    pair.dispose();
  });
});

it('a token that is refused changes nothing, with room left or none', async () => {
  const pair = new Pair(GROWING.qwen3_5, open(), [5]);
  // 5 tokens get room for 16 more: the 17th step moves them.
  for (let n = 0; n < 20; n++) {
    expect(() => pair.decoder.next(Int32Array.of(-1))).toThrow(
      expect.objectContaining({ code: 'model.token_out_of_range' }),
    );
    await pair.next();
  }
  pair.dispose();
});
