/**
 * @file The linear-attention recurrences alone, forward and with the gradients of every input. FLOP counted as the chunk form
 * of architecture §3.5.10 at chunks of 64, whatever a kernel really does: delta rule 6 dk dv + 64 (5 dk + 3 dv) per token and
 * head, GLA 4 dk dv + 128 (dk + dv); a backward pass counts twice its forward pass.
 */
import { deltaRule, gla, gradients, scope, weightedSum } from '@quasar/tensor';
import { Exchange, requireEqual } from '../exchange.js';
import { filled } from '../inputs.js';

export const title = 'Linear attention, one sequence';

const C = 64;
const RULES = {
  delta_rule: {
    name: 'Quasar',
    op: deltaRule,
    gate: (T, H) => [1, T, H],
    gateValue: (x) => 0.5 + 0.4 * x,
    flop: (d) => 6 * d * d + 8 * C * d,
  },
  gla: {
    name: 'GLA',
    op: gla,
    gate: (T, H, d) => [1, T, H, d],
    gateValue: (x) => -0.05 * (1 + x),
    flop: (d) => 4 * d * d + 4 * C * d,
  },
};

export async function run({ device, measure, isQuick }) {
  const cases = isQuick
    ? [['delta_rule', 128, 2, 16, true]]
    : [64, 128].flatMap((d) =>
        ['delta_rule', 'gla'].flatMap((rule) => [false, true].map((b) => [rule, 8192, 8, d, b])),
      );
  for (const [rule, T, H, d, backward] of cases) {
    const exchange = new Exchange();
    try {
      await measure(await attentionCase(device, exchange, { rule, T, H, d, backward }));
    } finally {
      exchange.close();
    }
  }
}

async function attentionCase(device, exchange, { rule, T, H, d, backward }) {
  const { name, op, gate, gateValue, flop } = RULES[rule];
  const shape = [1, T, H, d];
  // Keys of unit length on average; queries with the usual scale.
  const length = Math.sqrt(3 / d);
  const inputs = {
    q: filled(device, shape, { seed: 1, of: (x) => (x * length) / Math.sqrt(d) }),
    k: filled(device, shape, { seed: 2, of: (x) => x * length }),
    v: filled(device, shape, { seed: 3 }),
    gate: filled(device, gate(T, H, d), { seed: 4, of: gateValue }),
  };
  const given = filled(device, shape, { seed: 5 });
  const tensors = Object.values(inputs);
  for (const t of tensors) t.requiresGrad = backward;
  const forward = () => op(...tensors, null, null);
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
    work: T * H * flop(d) * (backward ? 3 : 1),
    bound: 'gflops',
    inputs: [...tensors, given],
    ours: () => scope(() => void (backward ? both() : forward())),
    peers: { 'torch eager': peer('eager'), 'torch compiled': peer('compiled') },
    goals:
      rule === 'delta_rule'
        ? [{ share: backward ? 0.4 : 0.5 }, { peer: 'torch eager', ratio: 5 }, { peer: 'torch compiled', ratio: 5 }]
        : [],
  };
}
