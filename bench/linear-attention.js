/**
 * @file The linear recurrences alone, forward and with the gradients of every input. FLOP counted as the chunk form needs them
 * at chunks of 64, triangles as halves (kernels/recurrence.h), per token and head: with the delta rule 6 dk dv + 128 (dk + dv)
 * and, backward, 14 dk dv + 64 (6 dk + 5 dv); without it 4 dk dv + 64 (dk + dv) and 8 dk dv + 64 (3 dk + 2 dv).
 */
import { deltaRule, gla, gradients, scope, simpleGla, weightedSum } from '@quasar/tensor';
import { Exchange, requireEqual } from './exchange.js';
import { filled } from './inputs.js';

const C = 64;
const perHead = (T, H) => [1, T, H];
const perChannel = (T, H, d) => [1, T, H, d];
const strength = { shape: perHead, of: (x) => 0.5 + 0.4 * x };
const decay = (shape) => ({ shape, of: (x) => -0.05 * (1 + x) });
const delta = { forward: (d) => 6 * d * d + 4 * C * d, backward: (d) => 14 * d * d + 11 * C * d };
const add = { forward: (d) => 4 * d * d + 2 * C * d, backward: (d) => 8 * d * d + 5 * C * d };
const decaying = (q, k, v, alpha, gate) => deltaRule(q, k, v, alpha, { decay: gate });
/** By the name that the PyTorch peer knows, where it has the rule. */
const RULES = {
  delta_rule: { name: 'Quasar', op: deltaRule, gates: [strength], flop: delta, hasPeer: true },
  gated_delta: { name: 'gated delta net', op: decaying, gates: [strength, decay(perHead)], flop: delta },
  kda: { name: 'KDA', op: decaying, gates: [strength, decay(perChannel)], flop: delta },
  gla: { name: 'GLA', op: gla, gates: [decay(perChannel)], flop: add, hasPeer: true },
  simple_gla: { name: 'simple GLA', op: simpleGla, gates: [decay(perHead)], flop: add },
};

/** The area of some of the rules. */
export function linearAttention(title, rules) {
  return {
    title: `${title}, one sequence`,
    async run({ device, measure, isQuick }) {
      const [T, H, widths] = isQuick ? [128, 2, [16]] : [8192, 8, [64, 128]];
      for (const d of widths) {
        for (const [rule, backward] of rules.flatMap((name) => [false, true].map((b) => [name, b]))) {
          const exchange = new Exchange();
          try {
            await measure(await attentionCase(device, exchange, { rule, T, H, d, backward }));
          } finally {
            exchange.close();
          }
        }
      }
    },
  };
}

async function attentionCase(device, exchange, { rule, T, H, d, backward }) {
  const { name, op, gates, flop, hasPeer } = RULES[rule];
  const shape = [1, T, H, d];
  // Keys of unit length on average; queries with the usual scale.
  const length = Math.sqrt(3 / d);
  const inputs = {
    q: filled(device, shape, { seed: 1, of: (x) => (x * length) / Math.sqrt(d) }),
    k: filled(device, shape, { seed: 2, of: (x) => x * length }),
    v: filled(device, shape, { seed: 3 }),
  };
  gates.forEach((gate, i) => {
    inputs[i ? `gate${i}` : 'gate'] = filled(device, gate.shape(T, H, d), { seed: 4 + 2 * i, of: gate.of });
  });
  const given = filled(device, shape, { seed: 5 });
  const tensors = Object.values(inputs);
  for (const t of tensors) t.requiresGrad = backward;
  const forward = () => op(...tensors);
  const both = () => gradients(tensors, () => ({ loss: weightedSum(forward().out, given) })).gradients;
  const files = {};
  for (const [key, tensor] of Object.entries({ ...inputs, given }))
    files[key] = exchange.share(key, await tensor.read());
  const ours = scope(() => (backward ? both() : [forward().out]));
  const names = backward ? Object.keys(inputs) : ['out'];
  const expected = await Promise.all(ours.map((t) => t.read()));
  for (const t of ours) t.dispose();
  const check = (answer) => {
    names.forEach((key, i) => {
      requireEqual(key, expected[i], answer[key], 1e-4);
    });
  };
  const peer = (variant) => ({ process: 'torch', case: rule, variant, B: 1, T, H, d, backward, files, check });
  return {
    name: `${name}, ${backward ? 'forward and backward' : 'forward'}`,
    shape: `T ${T}, ${H} heads of ${d}`,
    unit: 'GFLOP/s',
    work: T * H * (flop.forward(d) + (backward ? flop.backward(d) : 0)),
    bound: 'gflops',
    inputs: [...tensors, given],
    ours: () => scope(() => void (backward ? both() : forward())),
    peers: hasPeer ? { 'torch eager': peer('eager'), 'torch compiled': peer('compiled') } : {},
    goals:
      rule === 'delta_rule'
        ? [{ share: backward ? 0.4 : 0.5 }, { peer: 'torch eager', ratio: 5 }, { peer: 'torch compiled', ratio: 5 }]
        : [],
  };
}
