/** @file Axes: where values lie, and the round numbers beside them. */

export interface Scale {
  readonly low: number;
  readonly high: number;
  readonly isLog: boolean;
  /** 0 at `low`, 1 at `high`. */
  at(value: number): number;
  ticks: number[];
}

/** A linear axis over the values, a little wider than they are. @param from lower end that is wanted anyway */
export function linearScale(values: readonly number[], ticks: number, from = Number.POSITIVE_INFINITY): Scale {
  const [least, most] = [Math.min(from, ...values), Math.max(...values)];
  const spread = most - least || Math.abs(most) || 1;
  const low = from <= least ? from : least - 0.04 * spread;
  const high = most + 0.04 * spread;
  const step = roundStep((high - low) / ticks);
  const first = Math.ceil(low / step - 1e-9);
  const last = Math.floor(high / step + 1e-9);
  return {
    low,
    high,
    isLog: false,
    at: (value) => (value - low) / (high - low),
    ticks: Array.from({ length: last - first + 1 }, (_, i) => Number(((first + i) * step).toPrecision(12))),
  };
}

/** A logarithmic axis over the values above 0. */
export function logScale(values: readonly number[]): Scale {
  const positive = values.filter((value) => value > 0);
  const [least, most] = positive.length > 0 ? [Math.min(...positive), Math.max(...positive)] : [1, 10];
  const [low, high] = [least / 1.15, most * 1.15];
  const span = Math.log(high / low);
  const powers = Array.from(
    { length: Math.ceil(Math.log10(high)) - Math.floor(Math.log10(low)) + 1 },
    (_, i) => Math.floor(Math.log10(low)) + i,
  );
  const digits = powers.length > 4 ? [1] : powers.length > 3 ? [1, 3] : [1, 2, 5];
  return {
    low,
    high,
    isLog: true,
    at: (value) => Math.log(Math.max(value, low) / low) / span,
    ticks: powers
      .flatMap((power) => digits.map((digit) => Number((digit * 10 ** power).toPrecision(3))))
      .filter((tick) => tick >= low && tick <= high),
  };
}

/** 1, 2 or 5 times a power of ten, at or above x. */
function roundStep(x: number): number {
  const power = 10 ** Math.floor(Math.log10(x));
  return power * ([1, 2, 5, 10].find((digit) => digit * power >= x * 0.999) as number);
}
