/** @file `ModelInfo` for people. */
import type { ModelInfo } from '@quasar/model';
import { record, table } from '../ui/table.ts';

const grouped = (count: number) => Math.round(count).toLocaleString('en-US');
export const gb = (bytes: number) => `${(bytes / 1e9).toFixed(bytes < 1e8 ? 3 : 1)} GB`;
const mib = (bytes: number) => `${(bytes / 2 ** 20).toFixed(1)} MiB`;
const giga = (count: number) => `${(count / 1e9).toPrecision(3)} G`;

export function describe(name: string, info: ModelInfo, vocabulary: number): string {
  const { parts, parameters, sequence, flopsPerToken, memory } = info;
  const layers = Object.entries(info.layers).map(([kind, count]) => `${count} ${kind}`);
  const tensors = parts.reduce((sum, part) => sum + part.tensors, 0);
  const rows = [...parts, { part: 'total', tensors, parameters: parameters.total, active: parameters.active }];
  const [products, core] = [flopsPerToken.products, flopsPerToken.recurrences];
  const context = sequence.contextFlops > 0 ? `, and ${grouped(sequence.contextFlops)} per token before it` : '';
  const cost = record({
    'state per sequence': mib(sequence.stateBytes),
    'cache per token': `${grouped(sequence.cacheBytesPerToken)} bytes`,
    'operations per token': `${giga(products + core)}: products ${giga(products)}, recurrences ${giga(core)}${context}`,
    'memory to infer': `${gb(memory.inference.bf16)} in bf16, ${gb(memory.inference.f32)} in f32`,
    'memory to train': `${gb(memory.training.bf16)} in bf16, ${gb(memory.training.f32)} in f32, and activations`,
  });
  return [
    `${name}: ${info.family}, ${layers.join(' and ')} layers, ${vocabulary} tokens`,
    '',
    table(
      [
        { title: 'part', value: ({ part }) => part },
        { title: 'tensors', value: ({ tensors }) => tensors },
        { title: 'parameters', isNumeric: true, value: ({ parameters }) => grouped(parameters) },
        { title: 'per token', isNumeric: true, value: ({ active }) => grouped(active) },
      ],
      rows,
    ),
    '',
    cost,
  ].join('\n');
}
