/** @file How a router spreads its tokens, as plain numbers for the events of a run. */
import { type Checkpoint, expertBiasOf, type ModelConfig, tensorTable } from '@quasar/model';
import type { Tensor } from '@quasar/tensor';
import type { RouterLoad } from './events.ts';

/** Digits that a plot can show; events stay small. */
const DIGITS = 4;

/**
 * @param counts tokens per expert of each (block, loop, mixture layer), in the order of `forward`
 * @returns absent for models without experts
 */
export async function routerLoad(
  { config, parameters }: Checkpoint,
  counts: readonly Tensor[],
): Promise<RouterLoad | undefined> {
  if (counts.length === 0) return undefined;
  const layers = mixtureLayers(config);
  const sums: number[][] = [];
  for (const [i, tensor] of counts.entries()) {
    const values = [...(await tensor.read())];
    const sum = sums[i % layers];
    sums[i % layers] = sum ? sum.map((x, expert) => x + (values[expert] as number)) : values;
  }
  const load = sums.map((tokens) => {
    const total = tokens.reduce((a, b) => a + b, 0);
    return tokens.map((count) => rounded(total > 0 ? count / total : 0));
  });
  const bias: number[][] = [];
  for (const buffer of expertBiasOf(config)?.buffers ?? []) {
    const values = [...(await (parameters.get(buffer.bias) as Tensor).read())];
    const experts = values.length / buffer.layers;
    for (let i = 0; i < buffer.layers; i++) bias.push(values.slice(i * experts, (i + 1) * experts).map(rounded));
  }
  return { load, bias };
}

function mixtureLayers(config: ModelConfig): number {
  const layers = [...tensorTable(config)].flatMap(([name, { role }]) =>
    role === 'expert' ? [/\.layers\.(\d+)\./.exec(name)?.[1]] : [],
  );
  return new Set(layers).size;
}

const rounded = (x: number) => Number(x.toPrecision(DIGITS));
