/** @file The tensors of a state of any model, without a model: its forward pass runs on a device that has shapes alone. */
import { scope, shapeDevice, Tensor } from '@quasar/tensor';
import { familyOf, type ModelConfig } from './families/index.ts';
import { forward } from './forward.ts';
import type { Parameters } from './parameters.ts';

/**
 * Shapes by key of a `ModelState` whose rows have read so many tokens each, in its order.
 * @param lengths tokens read, at least 1 per row
 */
export function stateShapes(config: ModelConfig, lengths: ArrayLike<number>): Map<string, number[]> {
  const family = familyOf(config);
  const grows = family.sequenceCost(config).cacheBytesPerToken > 0;
  const rows = Array.from(lengths);
  // A state that does not grow looks alike after any token.
  const T = grows ? Math.max(...rows) : 1;
  // Rows that are shorter than the longest have read the rest of it as another document before.
  const positions = new Int32Array(rows.length * T);
  rows.forEach((length, b) => {
    for (let t = 0; t < T; t++) positions[b * T + t] = t < T - length ? t : t - Math.max(T - length, 0);
  });
  const device = shapeDevice();
  return scope(() => {
    const parameters: Parameters = new Map();
    for (const [name, { shape, dtype }] of family.tensorTable(config))
      parameters.set(name, Tensor.empty(device, shape, dtype));
    const tokens = new Int32Array(positions.length);
    const { state } = forward(config, parameters, { tokens, B: rows.length, T, positions });
    return new Map([...state.tensors].map(([key, tensor]) => [key, [...tensor.shape]]));
  });
}
