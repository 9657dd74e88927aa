/** @file Mixture of experts: routing, rows sorted by expert, grouped products, weighted return. Dropless. */
import { record, recording } from '../autograd.ts';
import { typeCode } from '../kernels.ts';
import { ShapeError, Tensor } from '../tensor.ts';

export interface Routing {
  /** Chosen experts, best first, [N, K] int. */
  ids: Tensor;
  /** Weights of the chosen experts, [N, K]. */
  gates: Tensor;
  /** Tokens per expert, [E]. */
  counts: Tensor;
  /** Assignment (token·K + rank) at each sorted row, [N·K] int. */
  order: Tensor;
  /** Sorted row of each assignment, [N·K] int. */
  inverse: Tensor;
  /** First sorted row of each expert, [E + 1] int. */
  offsets: Tensor;
}

export interface RouteOptions {
  /** Gates: softmax of the chosen raw logits (default), or their sigmoids divided by their sum. Architecture §3.9. */
  gate?: 'softmax' | 'sigmoid';
  /** Factor on the gates. Default 1. */
  scale?: number;
  /** Experts form this many equal groups in order, each as good as the sum of its two best scores. Default 1. */
  groups?: number;
  /** Groups from which experts are chosen. Default: all. */
  keptGroups?: number;
}

/**
 * The K best experts by σ(logit) + bias; ties go to the lowest index; the bias steers the choice, never the gate. logits
 * [N, E]. Group-limited choice: DeepSeek-V3 (2024). @throws ShapeError
 */
export function route(logits: Tensor, bias: Tensor, K: number, options: RouteOptions = {}): Routing {
  const { gate = 'softmax', scale = 1, groups = 1, keptGroups = groups } = options;
  const E = logits.dim(-1);
  const N = logits.rows;
  if (bias.size !== E || K > E)
    throw new ShapeError(`route: bias [${bias.shape}], top ${K} of logits [${logits.shape}]`);
  if (E % groups !== 0 || keptGroups < 1 || keptGroups > groups || K > (E / groups) * keptGroups)
    throw new ShapeError(`route: top ${K} of ${E} experts, in ${keptGroups} of ${groups} groups`);
  const numbers = [N, E, K, Number(gate === 'sigmoid'), groups, keptGroups, scale];
  const device = logits.device;
  const ids = Tensor.empty(device, [N, K], 'int');
  const gates = Tensor.empty(device, [N, K]);
  device.run('route', [ids.buffer, gates.buffer, logits.buffer, bias.buffer], numbers);
  const order = Tensor.empty(device, [N * K], 'int');
  const inverse = Tensor.empty(device, [N * K], 'int');
  const offsets = Tensor.empty(device, [E + 1], 'int');
  const counts = Tensor.empty(device, [E]);
  device.run('moe_plan', [order.buffer, inverse.buffer, offsets.buffer, counts.buffer, ids.buffer], [N * K, E]);
  if (recording([logits])) {
    record([logits], [gates], ([d]) => {
      const dLogits = Tensor.empty(device, logits.shape);
      const buffers = [dLogits, ids, gates, d as Tensor, logits].map((t) => t.buffer);
      device.run('route_backward', buffers, numbers);
      return [dLogits];
    });
  }
  return { ids, gates, counts, order, inverse, offsets };
}

/** Rows of x [N, D] copied to their experts: [N·K, D], sorted by expert. */
export function dispatch(x: Tensor, routing: Routing): Tensor {
  const D = x.dim(-1);
  const [N, K] = routing.ids.shape as [number, number];
  if (x.size !== N * D) throw new ShapeError(`dispatch: x [${x.shape}] for ${N} routed tokens`);
  const out = Tensor.empty(x.device, [N * K, D]);
  x.device.run('moe_gather', [out.buffer, x.buffer, routing.order.buffer], [N * K, K, D]);
  if (recording([x])) {
    record([x], [out], ([d]) => {
      const dx = Tensor.empty(x.device, x.shape);
      x.device.run('moe_gather_backward', [dx.buffer, (d as Tensor).buffer, routing.inverse.buffer], [N, K, D]);
      return [dx];
    });
  }
  return out;
}

/** Sorted rows x [N·K, in] times each one's expert, w [E, in, out] in any storage type -> [N·K, out]. */
export function expertLinear(x: Tensor, w: Tensor, routing: Routing): Tensor {
  const [E, inner, outer] = w.shape as [number, number, number];
  if (x.dim(-1) !== inner || x.rows !== routing.ids.size || E !== routing.counts.size)
    throw new ShapeError(`expertLinear: inner dims differ: x [${x.shape}] · w [${w.shape}]`);
  const { rows } = x;
  const run = (form: number, a: Tensor, b: Tensor, to: Tensor) =>
    x.device.run(
      'gemm_grouped',
      [a.buffer, b.buffer, to.buffer, routing.offsets.buffer],
      [form, E, inner, outer, typeCode(b.dtype)],
    );
  const y = Tensor.empty(x.device, [rows, outer]);
  run(0, x, w, y);
  if (recording([x, w])) {
    record([x, w], [y], ([d]) => {
      const [dx, dw] = [Tensor.empty(x.device, x.shape), w.requiresGrad ? Tensor.empty(x.device, w.shape) : null];
      run(1, d as Tensor, w, dx);
      if (dw) run(2, x, d as Tensor, dw);
      return [dx, dw];
    });
  }
  return y;
}

/** Σ_k gate·row of each token's experts: y [N·K, D] sorted -> [N, D]. */
export function combine(y: Tensor, routing: Routing): Tensor {
  const D = y.dim(-1);
  const { gates, inverse } = routing;
  const [N, K] = gates.shape as [number, number];
  const out = Tensor.empty(y.device, [N, D]);
  y.device.run('moe_combine', [out.buffer, y.buffer, gates.buffer, inverse.buffer], [N, K, D]);
  if (recording([y, gates])) {
    record([y, gates], [out], ([d]) => {
      const [dy, dGates] = [Tensor.empty(y.device, y.shape), Tensor.empty(y.device, gates.shape)];
      const buffers = [dy, dGates, y, gates, inverse, d as Tensor].map((t) => t.buffer);
      y.device.run('moe_combine_backward', buffers, [N, K, D]);
      return [dy, dGates];
    });
  }
  return out;
}

/** aux·Σ_e f_e P_e + z·mean(logit²), one element; f_e is the share of assignments, P_e the mean of σ(logit). */
export function routerLoss(logits: Tensor, counts: Tensor, K: number, aux: number, z: number): Tensor {
  const E = logits.dim(-1);
  const numbers = [logits.rows, E, K, aux, z];
  const out = Tensor.empty(logits.device, [1]);
  logits.device.run('router_loss', [out.buffer, logits.buffer, counts.buffer], numbers);
  if (recording([logits])) {
    record([logits], [out], ([d]) => {
      const dLogits = Tensor.empty(logits.device, logits.shape);
      const buffers = [dLogits, logits, counts, d as Tensor].map((t) => t.buffer);
      logits.device.run('router_loss_backward', buffers, numbers);
      return [dLogits];
    });
  }
  return out;
}
