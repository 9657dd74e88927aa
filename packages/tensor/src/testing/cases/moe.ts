/** @file Cases of the mixture of experts: one to all experts per token, experts without tokens, one token. */
import { type Case, Draw, outputs } from '../case.ts';

export async function moeCases(): Promise<Case[]> {
  const draw = new Draw('moe');
  const cases: Case[] = [];
  for (const [N, E, K, D, summed = 0, groups = 1, kept = 1, scale = 1] of [
    [1, 1, 1, 1],
    [7, 4, 2, 20],
    [300, 9, 3, 33],
    [5, 4, 4, 64],
    [200, 6, 1, 16],
    [60, 16, 4, 16, 1, 1, 1, 2.5],
    [120, 24, 5, 16, 1, 6, 2, 2.5],
    [60, 8, 3, 16, 0, 8, 4, 0.5],
  ]) {
    const name = `${[N, E, K, D]}${summed ? ' summed' : ''}${groups > 1 ? ` ${kept} of ${groups} groups` : ''}`;
    const choice = [N, E, K, summed, groups, kept, scale];
    const total = N * K;
    const logits = draw.normal(N * E, 2);
    const bias = draw.normal(E, 0.1);
    if (E > K) bias[1] = -10; // an expert that nobody chooses
    const [routed, floats] = [{ output: total, int: true }, { output: total }];
    const [ids, gates] = await outputs('route', [routed, floats, logits, bias], choice);
    const plan = [routed, routed, { output: E + 1, int: true }, { output: E }, ids];
    const [order, inverse, , counts] = await outputs('moe_plan', plan, [total, E]);
    const [x, y, dout] = [draw.normal(N * D), draw.normal(total * D), draw.normal(N * D)];
    const [wide, narrow] = [{ output: total * D }, { output: N * D }];
    cases.push(
      { name: `route ${name}`, kernel: 'route', buffers: [routed, floats, logits, bias], numbers: choice },
      {
        name: `route_backward ${name}`,
        kernel: 'route_backward',
        buffers: [{ output: N * E }, ids, gates, draw.normal(total), logits],
        numbers: choice,
        // One chosen expert: the gate is 1 whatever the logits, and the gradient is a rounding error around zero.
        ...(K === 1 && { tolerance: Number.POSITIVE_INFINITY }),
      },
      { name: `moe_plan ${name}`, kernel: 'moe_plan', buffers: plan, numbers: [total, E] },
      { name: `moe_gather ${name}`, kernel: 'moe_gather', buffers: [wide, x, order], numbers: [total, K, D] },
      {
        name: `moe_gather_backward ${name}`,
        kernel: 'moe_gather_backward',
        buffers: [narrow, y, inverse],
        numbers: [N, K, D],
      },
      { name: `moe_combine ${name}`, kernel: 'moe_combine', buffers: [narrow, y, gates, inverse], numbers: [N, K, D] },
      {
        name: `moe_combine_backward ${name}`,
        kernel: 'moe_combine_backward',
        buffers: [wide, floats, y, gates, inverse, dout],
        numbers: [N, K, D],
      },
      {
        name: `router_loss ${name}`,
        kernel: 'router_loss',
        buffers: [{ output: 1 }, logits, counts],
        numbers: [N, E, K, 0.01, 0.001],
      },
      {
        name: `router_loss_backward ${name}`,
        kernel: 'router_loss_backward',
        buffers: [{ output: N * E }, logits, counts, draw.normal(1)],
        numbers: [N, E, K, 0.01, 0.001],
      },
    );
  }
  return cases;
}
