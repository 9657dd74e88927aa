/**
 * @file How a checkpoint runs on this machine: peak memory, prefill and decoding. A decoded token must read every weight it
 * uses once, so reading memory sets the limit of its speed; what the machine reaches at that is measured in the same run.
 */

import { formatIssues, QuasarError } from '@quasar/base';
import { Decoder } from '@quasar/infer';
import {
  disposeParameters,
  familyOf,
  forward,
  loadParameters,
  type ModelConfig,
  readConfig,
  tensorTable,
  vocabularyLogits,
} from '@quasar/model';
import { measurePeak, openDevice, scope, type Tensor } from '@quasar/tensor';

export interface ModelBench {
  load: { bytes: number; seconds: number };
  prefill: { tokens: number; tokensPerS: number };
  decode: {
    tokens: number;
    tokensPerS: number;
    /** Of weights. */
    bytesPerToken: number;
    readGBs: number;
    /** What the machine reads from memory at most. */
    limitGBs: number;
    share: number;
  };
  state: { tokens: number; bytes: number }[];
  /** What caches hold at the end for tokens to come. */
  roomBytes: number;
  /** Most memory that the process has had. */
  peakBytes: number;
}

interface BenchOptions {
  /** Of a graft: as for `loadCheckpoint`. */
  base?: string;
  prefill: number;
  decode: number;
  onLoad?: (doneBytes: number, totalBytes: number) => void;
  onStep?: (what: string) => void;
}

const BLOCK_TOKENS = 512;
const FIRST_TOKENS = 10;

/** @throws QuasarError as `loadCheckpoint` */
export async function benchModel(folder: string, options: BenchOptions): Promise<ModelBench> {
  const { onLoad, onStep = () => {} } = options;
  const device = openDevice('auto');
  const read = readConfig(folder);
  if (!read.ok) throw new QuasarError('checkpoint.invalid', formatIssues(read.issues), { data: read.issues });
  const config = read.value;
  const before = measurePeak().readGBs;
  const load = { bytes: 0, seconds: 0 };
  const startedAtMs = performance.now();
  const parameters = loadParameters(folder, config, device, {
    dtype: 'stored',
    base: options.base,
    onProgress(done, total) {
      load.bytes = total;
      onLoad?.(done, total);
    },
  });
  load.seconds = (performance.now() - startedAtMs) / 1000;
  try {
    onStep(`prefill: ${options.prefill} tokens`);
    const token = (i: number) => (i * 7919) % config.vocab_size;
    const step = (first: number, tokens: number, state?: Step['state']): Step =>
      scope(() => {
        const block = {
          tokens: Int32Array.from({ length: tokens }, (_, t) => token(first + t)),
          B: 1,
          T: tokens,
          state,
        };
        const out = forward(config, parameters, block);
        return { logits: vocabularyLogits(parameters, out.hidden, Int32Array.of(tokens - 1)), state: out.state };
      });
    // The first pass has its pages to find; it is not counted.
    let now = step(0, FIRST_TOKENS);
    const state = [{ tokens: FIRST_TOKENS, bytes: now.state.sizeBytes }];
    const next = (after: Step) => {
      disposeStep(now);
      now = after;
    };
    const prefillS = await timed(async () => {
      for (let at = 0; at < options.prefill; at += BLOCK_TOKENS)
        next(step(FIRST_TOKENS + at, Math.min(BLOCK_TOKENS, options.prefill - at), now.state));
      await now.logits.read();
    });
    onStep(`decode: ${options.decode} tokens`);
    const used = new UsedParameters(parameters);
    const decoder = new Decoder(config, used, now);
    try {
      decoder.next(Int32Array.of(1));
      await decoder.logits.read();
      const decodeS = await timed(async () => {
        for (let i = 0; i < options.decode; i++) {
          decoder.next(Int32Array.of(token(i)));
          await decoder.logits.read();
        }
      });
      state.push({ tokens: FIRST_TOKENS + options.prefill + 1 + options.decode, bytes: decoder.stateBytes });
      const bytesPerToken = weightBytes(config, used);
      const tokensPerS = options.decode / decodeS;
      const readGBs = (bytesPerToken * tokensPerS) / 1e9;
      const peakBytes = process.resourceUsage().maxRSS * 1024;
      // The better of two: other programs slow memory down, and a share must not flatter.
      const limitGBs = Math.max(before, measurePeak().readGBs);
      return {
        load,
        prefill: { tokens: options.prefill, tokensPerS: options.prefill / prefillS },
        decode: { tokens: options.decode, tokensPerS, bytesPerToken, readGBs, limitGBs, share: readGBs / limitGBs },
        state,
        roomBytes: decoder.roomBytes,
        peakBytes,
      };
    } finally {
      decoder.dispose();
    }
  } finally {
    disposeParameters(parameters);
  }
}

interface Step {
  logits: Tensor;
  state: ReturnType<typeof forward>['state'];
}

function disposeStep({ logits, state }: Step): void {
  logits.dispose();
  state.dispose();
}

async function timed(work: () => Promise<void>): Promise<number> {
  const startedAtMs = performance.now();
  await work();
  return (performance.now() - startedAtMs) / 1000;
}

/** Parameters that remember which of them a forward pass asked for: some belong to other variants of a layer. */
class UsedParameters extends Map<string, Tensor> {
  readonly used = new Set<string>();

  override get(name: string): Tensor | undefined {
    this.used.add(name);
    return super.get(name);
  }
}

/** Bytes of weights that one token reads: of experts those chosen, of the embedding one row. */
function weightBytes(config: ModelConfig, parameters: UsedParameters): number {
  const share = familyOf(config).expertShare(config);
  let bytes = 0;
  for (const [name, { shape, role }] of tensorTable(config)) {
    const tensor = parameters.used.has(name) ? parameters.get(name) : undefined;
    if (!tensor) continue;
    const part = role === 'embedding' ? 1 / (shape[0] as number) : role === 'expert' ? share : 1;
    bytes += tensor.size * part * (tensor.dtype === 'float' ? tensor.device.floatBytes : 2);
  }
  return bytes;
}
