/** @file Linear recurrences over a matrix state: the delta rule with and without decay, gated linear attention. */
import { record, recording } from '../autograd.ts';
import { ShapeError, Tensor } from '../tensor.ts';
import { addBias, reshape } from './elementwise.ts';
import { checkPositions, type Positions } from './sequence.ts';

export interface Recurrence {
  /** [B, T, H, dv] */
  out: Tensor;
  /** State after the last token, [B, H, dk, dv]. */
  state: Tensor;
}

export interface RecurrenceOptions {
  /** State before the first token, [B, H, dk, dv]; zeros without it. */
  state?: Tensor | null;
  /** Where segments start: the state is zeroed there. */
  positions?: Positions | null;
  /** Tokens computed at a time, a multiple of 16. The result does not depend on it beyond rounding, the speed does. */
  chunk?: number | undefined;
}

/** Chunks of 32 are some 10 % faster for heads of 64 and keep twice as many states for the backward pass. */
const CHUNK = 64;

/** As the kernel numbers them. */
const RULES = { add: 0, delta: 1, erase: 2 } as const;
const DECAYS = { none: 0, head: 1, channel: 2 } as const;

interface Strengths {
  rule: keyof typeof RULES;
  decay: keyof typeof DECAYS;
  /** [B, T, H] each. */
  write: Tensor | null;
  erase: Tensor | null;
  /** Logarithm of the decay, <= 0: [B, T, H] or [B, T, H, dk]. */
  gate: Tensor | null;
}

function recurrence(
  name: string,
  q: Tensor,
  k: Tensor,
  v: Tensor,
  { rule, decay, write, erase, gate }: Strengths,
  { state = null, positions = null, chunk = CHUNK }: RecurrenceOptions,
): Recurrence {
  const [B, T, H, dk] = q.shape as [number, number, number, number];
  const dv = v.dim(-1);
  const tokens = B * T * H;
  const fits = (x: Tensor | null, width: number) => !x || x.size === tokens * width;
  const gateWidth = decay === 'channel' ? dk : 1;
  if (!fits(k, dk) || !fits(v, dv) || !fits(write, 1) || !fits(erase, 1) || !fits(gate, gateWidth)) {
    const shapes = Object.entries({ q, k, v, write, erase, gate }).flatMap(([what, x]) =>
      x ? [`${what} [${x.shape}]`] : [],
    );
    throw new ShapeError(`${name}: ${shapes.join(' · ')} do not fit`);
  }
  if (dk % 16 !== 0 || dv % 16 !== 0)
    throw new ShapeError(`${name}: head widths must be multiples of 16, got ${dk} and ${dv}`);
  if (!(chunk > 0) || chunk % 16 !== 0)
    throw new ShapeError(`${name}: the chunk length must be a multiple of 16, got ${chunk}`);
  if (state && state.size !== B * H * dk * dv)
    throw new ShapeError(`${name}: state [${state.shape}], expected [${[B, H, dk, dv]}]`);
  checkPositions(name, positions, B, T);
  const chunks = positions?.chunks(chunk) ?? Math.ceil(T / chunk);
  const numbers = [B, T, H, dk, dv, chunk, chunks, RULES[rule], DECAYS[decay]];
  const inputs = [q, k, v, write, erase, gate, state];
  const save = recording(inputs);
  const out = Tensor.empty(q.device, [B, T, H, dv]);
  const end = Tensor.empty(q.device, [B, H, dk, dv]);
  const saved = save ? Tensor.empty(q.device, [B, H, chunks, dk, dv]) : null;
  const at = positions?.tensor ?? null;
  const buffers = (tensors: (Tensor | null)[]) => tensors.map((t) => t?.buffer ?? null);
  q.device.run('recurrence', buffers([out, end, saved, ...inputs, at]), numbers);
  if (save) {
    record(inputs, [out, end], ([dOut, dEnd]) => {
      const found = inputs.map((t) => t && Tensor.empty(q.device, t.shape));
      const d = dOut ?? Tensor.zeros(q.device, out.shape);
      const all = [...found, saved, q, k, v, write, erase, gate, at, d, dEnd ?? null];
      q.device.run('recurrence_backward', buffers(all), numbers);
      return found;
    });
  }
  return { out, state: end };
}

/**
 * S ← F S + k (w v − α (F S)ᵀk)ᵀ, o = Sᵀq, with w = α unless `write` is given: the delta rule (Quasar attention with the
 * exact α), with `decay` the gated delta net (one gate per head) or KDA (one per key channel). Architecture 3.5.
 *
 * q, k [B, T, H, dk], v [B, T, H, dv], alpha [B, T, H].
 * @param options.decay log F <= 0, [B, T, H] or [B, T, H, dk].
 * @param options.write w, [B, T, H], where writing and erasing differ in strength (exact scalar forgetting, 3.5.2).
 * @throws ShapeError
 */
export function deltaRule(
  q: Tensor,
  k: Tensor,
  v: Tensor,
  alpha: Tensor,
  options: RecurrenceOptions & { decay?: Tensor | null; write?: Tensor | null } = {},
): Recurrence {
  const { decay: gate = null, write } = options;
  const decay = !gate ? 'none' : gate.size === alpha.size ? 'head' : 'channel';
  const strengths = write
    ? ({ rule: 'erase', write, erase: alpha } as const)
    : ({ rule: 'delta', write: alpha, erase: null } as const);
  return recurrence('deltaRule', q, k, v, { ...strengths, decay, gate }, options);
}

/**
 * Gated linear attention (Yang et al. 2023): S ← diag(eᵍ) S + k vᵀ, o = Sᵀq. q, k, logDecay [B, T, H, dk] with
 * logDecay <= 0, v [B, T, H, dv].
 * @throws ShapeError
 */
export function gla(q: Tensor, k: Tensor, v: Tensor, logDecay: Tensor, options: RecurrenceOptions = {}): Recurrence {
  const strengths = { rule: 'add', decay: 'channel', write: null, erase: null, gate: logDecay } as const;
  return recurrence('gla', q, k, v, strengths, options);
}

/**
 * Linear attention with one decay per head: S ← eᵍ S + k vᵀ, o = Sᵀq. q, k [B, T, H, dk], v [B, T, H, dv]; logDecay <= 0,
 * per token [B, T, H], or constant per head [H].
 * @throws ShapeError
 */
export function simpleGla(
  q: Tensor,
  k: Tensor,
  v: Tensor,
  logDecay: Tensor,
  options: RecurrenceOptions = {},
): Recurrence {
  const [B, T, H] = q.shape as [number, number, number];
  const constant = logDecay.shape.length === 1;
  const gate = constant ? addBias(Tensor.zeros(q.device, [B * T, H]), logDecay) : logDecay;
  const strengths = { rule: 'add', decay: 'head', write: null, erase: null, gate: reshape(gate, [B, T, H]) } as const;
  return recurrence('simpleGla', q, k, v, strengths, options);
}
