/** @file Inputs of the measured work. Values matter little, but not all: equal values or denormals can be faster or slower. */
import { persist, Tensor } from '@quasar/tensor';

/** Evenly spread over (-1, 1), the same on every machine. */
export function values(count, seed = 1, of = (x) => x) {
  const out = new Float32Array(count);
  let state = seed >>> 0;
  for (let i = 0; i < count; i++) {
    state = (Math.imul(state, 1664525) + 1013904223) >>> 0;
    out[i] = of((state >>> 8) / 2 ** 23 - 1);
  }
  return out;
}

/** A tensor of `values`; the caller disposes of it. */
export function filled(device, shape, { seed = 1, of } = {}) {
  const size = shape.reduce((product, extent) => product * extent, 1);
  return persist(Tensor.from(device, shape, values(size, seed, of)));
}
