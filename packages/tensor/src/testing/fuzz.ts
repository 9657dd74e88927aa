/**
 * @file Random calls of every op through its public door, forward and backward: shapes around the edges of tiles and
 * chunks, empty ones, thin ones, and shapes or types that do not fit. A recording device turns them into kernel cases with
 * the results of the reference, to be run elsewhere: on the native device or under sanitizers.
 */
import { QuasarError, Rng } from '@quasar/base';
import { gradients } from '../autograd.ts';
import type { Device, DeviceBuffer, DType } from '../device.ts';
import { referenceDevice } from '../devices/reference/device.ts';
import { typeCode } from '../kernels.ts';
import * as ops from '../ops/index.ts';
import { scope } from '../scope.ts';
import { Tensor } from '../tensor.ts';
import type { Argument, Case, Contents } from './case.ts';

/** A kernel case and what each of its buffers must hold afterwards. */
export interface RecordedCase extends Case {
  expected: Contents[];
}

/** What a trial is given: random numbers and inputs. `input` and `ints` may hand out something that does not fit. */
interface Source {
  rng: Rng;
  /** An extent: mostly an edge, within `limit`. */
  size(limit?: number): number;
  /** A multiple of 16. */
  width(): number;
  input(shape: number[], scale?: number): Tensor;
  /** Uniform in [0, below). */
  ints(shape: number[], below: number): Tensor;
  positions(B: number, T: number): ops.Positions | null;
}

const { sigmoid, logSigmoid, l2Norm } = ops;

/** One random call of an op, by name; what it returns is differentiated. */
const TRIALS: Record<string, (s: Source) => Tensor[]> = {
  elementwise: (s) => {
    const shape = [s.size(), s.size(70)];
    const [x, y] = [s.input(shape, 3), s.input(shape)];
    const sums = [ops.axpby(2, x, -0.5, y), ops.add(x, x), ops.scale(y, 3), ops.multiply(x, y), ops.clamp(x, -1, 2)];
    return [...sums, ops.silu(x), sigmoid(x), ops.softplus(x), logSigmoid(x), ops.reshape(x, [x.size])];
  },
  addBias: (s) => {
    const N = s.size();
    const [x, w] = [s.input([s.size(), N]), s.input([N])];
    return [ops.addBias(x, w), ops.scaleColumns(x, w)];
  },
  swiglu: (s) => {
    const [rows, width] = [s.size(), s.size(70)];
    if (s.rng.next() < 0.5) return [ops.swiglu(s.input([rows, 2 * width]))];
    return [ops.swiglu(s.input([rows, width]), s.input([rows, width]))];
  },
  weightedSum: (s) => {
    const shape = [s.size(), s.size(70)];
    return [ops.weightedSum(s.input(shape), s.input(shape), 0.5)];
  },
  linear: (s) => {
    const inner = s.size();
    return [ops.linear(s.input([s.size(3), s.size(), inner]), s.input([s.size(), inner]))];
  },
  norms: (s) => {
    const [rows, width] = [s.size(), s.size()];
    const [x, gate, w] = [s.input([rows, width]), s.input([rows, width]), s.input([width])];
    const kind = s.rng.next() < 0.5 ? 'silu' : 'sigmoid';
    return [ops.rmsNorm(x, w, 1e-6), ops.gatedNorm(x, w, gate, kind, 1e-6), l2Norm(x, 0.25)];
  },
  rope: (s) => {
    const [B, T, H, half] = [s.size(3), s.size(70), s.size(3), s.size(33)];
    const positions = s.positions(B, T);
    if (!positions) return [];
    return [ops.rope(s.input([B, T, H, 2 * half + s.size(3)]), positions, { theta: 1e4, rotary: 2 * half })];
  },
  shortConv: (s) => {
    const [B, T, D, W] = [s.size(3), s.size(140), s.size(70), s.rng.int(1, 5)];
    const state = s.rng.next() < 0.5 ? s.input([B, W - 1, D]) : null;
    const { y, state: next } = ops.shortConv(s.input([B, T, D]), s.input([D, 1, W]), state, s.positions(B, T));
    return [y, next];
  },
  gates: (s) => {
    const [B, T, H, E] = [s.size(3), s.size(70), s.size(3), s.size()];
    const [z, k, rate, time] = [s.input([B, T, H]), s.input([B, T, H, E], 0.3), s.input([H]), s.input([H * E])];
    const forget = s.rng.next() < 0.5 ? ops.softplus(s.input([B, T, H])) : null;
    const beta = s.rng.pick(['softplus', 'sigmoid'] as const);
    return [
      ops.exactGate(z, k, { beta, rate: forget, eps: s.rng.pick([0, 1e-8]), floor: s.rng.pick([0, 0.05]) }),
      ops.previewGate(z, k, rate, time),
    ];
  },
  decayGate: (s) => {
    const [rows, H, E] = [s.size(), s.rng.int(1, 5), s.rng.int(1, 40)];
    return [ops.decayGate(s.input([rows, H * E]), s.input([H]), s.input([H * E]))];
  },
  layout: (s) => {
    const [B, T, H, E] = [s.size(3), s.size(20), s.size(4), Math.max(1, s.size())];
    const [x, y] = [s.input([B, T, H, E]), s.input([B, s.size(20), H, E])];
    const joined = ops.concat([x, y], 1);
    const [left, right] = ops.split(joined, [E - 1, 1]);
    const from = s.rng.int(0, joined.dim(1));
    return [left, right, ops.slice(joined, 1, from, joined.dim(1)), ops.repeatHeads(x, s.rng.int(1, 4))];
  },
  deltaRule: (s) => {
    const [B, T, H, dk, dv] = [s.size(3), s.size(140), s.size(3), s.width(), s.width()];
    const state = s.rng.next() < 0.5 ? s.input([B, H, dk, dv]) : null;
    const [q, k, v] = [s.input([B, T, H, dk]), l2Norm(s.input([B, T, H, dk])), s.input([B, T, H, dv])];
    const options = { state, positions: s.positions(B, T), chunk: s.rng.pick([16, 64]) };
    const [decay, write] = [s.rng.int(0, 2), s.rng.next() < 0.3 ? sigmoid(s.input([B, T, H])) : null];
    const gate = decay ? logSigmoid(s.input(decay === 1 ? [B, T, H] : [B, T, H, dk])) : null;
    return Object.values(ops.deltaRule(q, k, v, sigmoid(s.input([B, T, H])), { ...options, decay: gate, write }));
  },
  gla: (s) => {
    const [B, T, H, dk, dv] = [s.size(3), s.size(140), s.size(3), s.width(), s.width()];
    const state = s.rng.next() < 0.5 ? s.input([B, H, dk, dv]) : null;
    const [q, k, v] = [s.input([B, T, H, dk]), s.input([B, T, H, dk]), s.input([B, T, H, dv])];
    const options = { state, positions: s.positions(B, T), chunk: s.rng.pick([16, 64]) };
    if (s.rng.next() < 0.3) return Object.values(ops.simpleGla(q, k, v, logSigmoid(s.input([B, T, H])), options));
    return Object.values(ops.gla(q, k, v, logSigmoid(s.input([B, T, H, dk])), options));
  },
  attention: (s) => {
    const [B, T, Hk, group, D] = [s.size(3), s.size(140), s.rng.int(1, 3), s.rng.int(1, 3), s.width()];
    const S = T + (s.rng.next() < 0.5 ? 0 : s.size(70));
    const room = S + (s.rng.next() < 0.5 ? 0 : s.size(20));
    const [k, v] = [s.input([B, room, Hk, D]), s.input([B, room, Hk, D])];
    return [ops.attention(s.input([B, T, Hk * group, D]), k, v, s.positions(B, T), { length: S })];
  },
  slots: (s) => {
    const [B, T, Hk, group, M, dk, dv] = [
      s.size(3),
      s.size(140),
      s.rng.int(1, 2),
      s.rng.int(1, 2),
      16,
      s.width(),
      s.width(),
    ];
    const H = Hk * group;
    const [logits, z, rate, time] = [s.input([B, T, H, M]), s.input([B, T, H]), s.input([H]), s.input([H])];
    const g = ops.slotGates(logits, z, rate, time, s.rng.next() < 0.5 ? s.input([H, M], 0.1) : null, s.rng.int(1, M));
    const [q, k, v] = [s.input([B, T, H, dk]), s.input([B, T, Hk, dk]), s.input([B, T, Hk, dv])];
    const state = s.rng.next() < 0.5 ? { keys: s.input([B, H, M, dk]), values: s.input([B, H, M, dv]) } : null;
    const { out, state: end } = ops.slotAttention(q, k, v, g, state, s.positions(B, T));
    return [out, end.keys, end.values];
  },
  memory: (s) => {
    const [B, T, D, K] = [s.size(3), s.size(257), s.width(), 16 * s.rng.int(1, 3)];
    const weights = {
      query: s.input([D]),
      channels: s.input([D]),
      temperature: s.input([1]),
      initial: s.input([K, D], 0.3),
    };
    const eta = sigmoid(s.input([B, T]));
    const { out, state } = ops.latentMemory(
      s.input([B, T, D]),
      eta,
      s.input([B, T, D], 0.3),
      weights,
      null,
      s.positions(B, T),
    );
    return [out, state.memory];
  },
  optimizers: (s) => {
    const [M, D, V] = [s.size(), s.size(33), s.rng.int(1, 60)];
    const [table, m, v] = [s.input([V, D]), s.input([V, D]), s.input([V, D])];
    const settings = { lr: 0.1, beta1: 0.9, beta2: 0.95, eps: 1e-8, step: 3 };
    ops.sparseAdam(table, m, ops.multiply(v, v), s.input([M, D]), s.ints([M], Math.max(1, table.rows)), settings);
    // No singular value near zero: there the iteration amplifies rounding.
    ops.orthogonalize(s.input([s.size(3), 1, s.size(70)]));
    const [layers, E] = [s.rng.int(1, 3), s.rng.int(1, 9)];
    const counts = Array.from({ length: layers * s.rng.int(1, 2) }, () => s.input([E]));
    ops.smebu(s.input([layers, E]), s.input([layers, E]), s.input([layers]), counts, {
      lambda: 2e-3,
      kappa: 2,
      beta: 0.5,
    });
    return [];
  },
  experts: (s) => {
    const [N, E, D, F] = [s.size(), s.rng.int(1, 9), s.size(70), s.size(70)];
    const logits = s.input([N, E]);
    const groups = s.rng.pick([1, E]);
    const keptGroups = s.rng.int(1, groups);
    const K = s.rng.int(1, (E / groups) * keptGroups);
    const options = { gate: s.rng.pick(['softmax', 'sigmoid'] as const), scale: 2, groups, keptGroups };
    const routing = ops.route(logits, s.input([E], 0.1), K, options);
    const y = ops.expertLinear(ops.dispatch(s.input([N, D]), routing), s.input([E, D, F]), routing);
    return [ops.combine(y, routing), ops.routerLoss(logits, routing.counts, routing.ids.dim(1), 0.01, 0.001)];
  },
  rows: (s) => {
    const [V, D, M] = [s.rng.int(1, 40), s.size(), s.size()];
    const [table, x] = [s.input([V, D]), s.input([V, D])];
    // That ids lie within a table is for the caller to see to: ops do not read them.
    const ids = (of: Tensor) => s.ints([of.rows === 0 ? 0 : M], of.rows);
    return [
      ops.embedding(table, ids(table)),
      ops.gatherRows(x, ids(x)),
      ops.cast(ops.cast(s.input([M, D]), s.rng.next() < 0.5 ? 'bf16' : 'f16'), 'float'),
    ];
  },
  ngrams: (s) => {
    const [B, T, V, heads, slots] = [s.size(3), s.size(70), s.rng.int(1, 40), s.rng.int(1, 4), s.rng.int(1, 5000)];
    const orders = s.ints([s.rng.int(1, 3)], 1);
    orders.write(Int32Array.from({ length: orders.size }, () => s.rng.int(1, 4)));
    const map = s.ints([V], 2 ** 24);
    // That ids lie within the map is for the caller to see to.
    const ids = s.ints([map.size === 0 ? 0 : B, T], map.size);
    const hash = { map, seeds: s.ints([heads * orders.size], 2 ** 31), orders, slots, back: 3 };
    const state = s.rng.next() < 0.5 ? Tensor.zeros(ids.device, [B, 3]) : null;
    const { state: next } = ops.ngramRows(ids, hash, state, s.positions(B, T));
    return [next];
  },
  losses: (s) => {
    const [M, V] = [s.size(70), Math.max(1, s.size())];
    const K = s.rng.int(1, Math.min(V, 1024));
    const teacher = s.input([M, V], 3);
    const [student, target] = [s.input([M, V], 3), s.ints([M], V)];
    const direction = s.rng.next() < 0.5 ? 'forward' : 'reverse';
    return [
      ops.crossEntropy(student, target),
      ops.klTopK(student, ops.topK(teacher.size > student.size ? student : teacher, K)),
      ops.divergence(student, teacher, { direction, temperature: 1 + s.rng.next() }),
    ];
  },
  adamw: (s) => {
    const count = s.size(9000);
    const type = s.rng.pick(['float', 'bf16', 'f16'] as const);
    const [p, m, v, g] = [
      s.input([count]),
      s.input([count]),
      ops.multiply(s.input([count]), s.input([count])),
      s.input([count]),
    ];
    const [stored, square] = [ops.cast(p, type), ops.multiply(v, v)];
    const numbers = [count, 1e-2, 0.9, 0.95, 1e-8, 0.1, 3, 5, 0.5, typeCode(type)];
    p.device.run(
      'adamw',
      [stored, m, square, g, p].map((t) => t.buffer),
      numbers,
    );
    return [];
  },
};

export const TRIAL_NAMES = Object.keys(TRIALS);
const EDGES = [
  0, 1, 1, 2, 3, 5, 7, 8, 9, 15, 16, 17, 31, 32, 33, 47, 63, 64, 65, 96, 100, 127, 128, 129, 130, 255, 257,
];
/** Most elements of an input: the reference runs in plain JavaScript. */
const LARGEST = 60_000;

/** How the inputs of a trial are spoiled: the `at`th one made gets another shape, or another type. */
interface Spoiled {
  at: number;
  how: 'longer' | 'shorter' | 'flat' | 'int' | 'bf16' | 'empty';
}

function source(rng: Rng, device: Device, inputs: Tensor[], spoiled: Spoiled | null): Source {
  let made = 0;
  let budget = LARGEST;
  const make = (shape: number[], dtype: DType, values: (size: number) => ArrayLike<number>): Tensor => {
    const change = spoiled?.at === made++ ? spoiled.how : null;
    let [extents, type] = [shape, dtype];
    const last = shape.length - 1;
    if (change === 'longer') extents = shape.map((n, i) => (i === last ? n + 1 : n));
    if (change === 'shorter') extents = shape.map((n, i) => (i === 0 ? Math.max(0, n - 1) : n));
    if (change === 'flat') extents = [shape.reduce((a, b) => a * b, 1)];
    if (change === 'empty') extents = shape.map(() => 0);
    if (change === 'int') type = dtype === 'int' ? 'float' : 'int';
    if (change === 'bf16') type = 'bf16';
    const tensor = Tensor.from(device, extents, values(extents.reduce((a, b) => a * b, 1)), type);
    tensor.requiresGrad = type === 'float';
    inputs.push(tensor);
    return tensor;
  };
  return {
    rng,
    size(limit = 300) {
      const within = EDGES.filter((n) => n <= limit && n <= budget);
      const extent = limit >= 300 && rng.next() < 0.04 ? Math.min(3001, budget) : rng.pick(within);
      budget = Math.floor(budget / Math.max(1, extent));
      return extent;
    },
    width() {
      const extent = Math.min(rng.pick([16, 16, 32, 48, 64, 80, 128]), Math.max(16, Math.floor(budget / 16) * 16));
      budget = Math.max(1, Math.floor(budget / extent));
      return extent;
    },
    input: (shape, scale = 1) =>
      make(shape, 'float', (size) => Float32Array.from({ length: size }, () => scale * rng.normal())),
    ints: (shape, below) =>
      make(shape, 'int', (size) => Int32Array.from({ length: size }, () => rng.int(0, below - 1))),
    positions(B, T) {
      if (rng.next() < 0.4) return null;
      const values = new Int32Array(B * T);
      let at = 0;
      for (let i = 0; i < values.length; i++) {
        at = i % T === 0 ? rng.int(0, 3) : rng.next() < 0.1 ? 0 : at + 1;
        values[i] = at;
      }
      const fits = spoiled?.at !== made++;
      return new ops.Positions(device, fits ? B : B + 1, T, fits ? values : new Int32Array((B + 1) * T));
    },
  };
}

/** A reference device with float32 memory that keeps every kernel call with the contents before and after. */
function recordingDevice(cases: RecordedCase[], name: string): Device {
  const device = referenceDevice({ precision: 'f32' });
  const contents = (buffer: DeviceBuffer | null) =>
    buffer && (buffer.handle as { data: Float32Array | Int32Array }).data.slice();
  return {
    ...device,
    run(kernel, buffers, numbers) {
      const before = buffers.map(contents);
      device.run(kernel, buffers, numbers);
      const passed = buffers.map((buffer, i): Argument => {
        const data = before[i];
        if (!buffer || !data) return null;
        return data instanceof Int32Array ? data : { inPlace: Float64Array.from(data), type: buffer.dtype };
      });
      // A buffer passed twice is two here; what the kernel does to it stands in the first.
      const expected = buffers.map((buffer, i) => (buffers.indexOf(buffer) === i ? contents(buffer) : null));
      cases.push({ name: `${name}: ${kernel} (${numbers})`, kernel, buffers: passed, numbers: [...numbers], expected });
    },
  };
}

export interface Trial {
  name: string;
  cases: RecordedCase[];
  /** The error that refused the call, where there was one. */
  refused: Error | null;
}

/** Trial number `index` of a seed: the same everywhere. A third of the trials has an input that does not fit. */
export function fuzzTrial(seed: string, index: number): Trial {
  const rng = new Rng(`${seed}/${index}`);
  const kind = rng.pick(TRIAL_NAMES);
  const how = rng.pick(['longer', 'shorter', 'flat', 'int', 'bf16', 'empty'] as const);
  const spoiled = rng.next() < 0.33 ? { at: rng.int(0, 5), how } : null;
  const name = `${seed}/${index} ${kind}${spoiled ? `, input ${spoiled.at} ${spoiled.how}` : ''}`;
  const cases: RecordedCase[] = [];
  const device = recordingDevice(cases, name);
  try {
    scope(() => {
      const inputs: Tensor[] = [];
      gradients(inputs, () => {
        const s = source(rng, device, inputs, spoiled);
        const outputs = (TRIALS[kind] as (s: Source) => Tensor[])(s);
        const terms = outputs.map((out) => {
          const weights = Float32Array.from({ length: out.size }, () => rng.normal());
          return ops.weightedSum(out, Tensor.from(device, out.shape, weights));
        });
        return { loss: terms.reduce((sum, term) => ops.add(sum, term), Tensor.zeros(device, [1])) };
      });
    });
    return { name, cases, refused: null };
  } catch (error) {
    // A refusal is a QuasarError and belongs to inputs that do not fit; the rest is a bug.
    if (spoiled && error instanceof QuasarError) return { name, cases, refused: error };
    throw new Error(`${name}: ${(error as Error).message}`, { cause: error });
  }
}

/** Loose enough for one element that is a difference of larger ones; a wrong index is off by far more. */
const [RELATIVE, ABSOLUTE] = [1e-2, 1e-4];

/** Which buffers hold something else than the reference has, as text; empty when none. Scratch is not looked at. */
export function differences(one: RecordedCase, actual: readonly Contents[], scratch: ReadonlySet<string>): string {
  const found: string[] = [];
  one.expected.forEach((expected, at) => {
    const x = actual[at];
    if (!expected || !x || scratch.has(`${one.kernel}/${at}`)) return;
    let [difference, size] = [0, 0];
    for (let i = 0; i < expected.length; i++) {
      const [a, b] = [x[i] as number, expected[i] as number];
      if (Object.is(a, b)) continue;
      difference += Math.abs(a - b) ** 2;
      size += b ** 2;
    }
    const rms = (sum: number) => Math.sqrt(sum / expected.length);
    if (difference > 0 || Number.isNaN(difference)) {
      if (!(rms(difference) <= RELATIVE * rms(size) + ABSOLUTE)) found.push(`argument ${at} off by ${rms(difference)}`);
    }
  });
  return found.join(', ');
}

/** `kernel/argument` of buffers that kernels use as they like, as the kernel cases mark them. */
export function scratchArguments(cases: readonly Case[]): Set<string> {
  return new Set(
    cases.flatMap(({ kernel, buffers }) =>
      buffers.flatMap((argument, i) =>
        argument && 'scratch' in argument && argument.scratch ? [`${kernel}/${i}`] : [],
      ),
    ),
  );
}
