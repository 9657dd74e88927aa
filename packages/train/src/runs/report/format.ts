/** @file Numbers for people. */

/** 950, 1.2k, 34M. */
export function shortNumber(x: number): string {
  const size = Math.abs(x);
  for (const [unit, suffix] of [
    [1e9, 'G'],
    [1e6, 'M'],
    [1e3, 'k'],
  ] as const)
    if (size >= unit) return `${trimmed(x / unit)}${suffix}`;
  return trimmed(x);
}

/** Four significant digits at most, no zeros behind them; very small numbers as 1.2e-5. */
export function figure(x: number): string {
  if (!Number.isFinite(x)) return String(x);
  if (x !== 0 && Math.abs(x) < 1e-3) return x.toExponential(2).replace(/\.?0+e/, 'e');
  return Math.abs(x) >= 1e4 ? Math.round(x).toLocaleString('en-US') : String(Number(x.toPrecision(4)));
}

export function bytesText(bytes: number): string {
  for (const [unit, suffix] of [
    [1e9, 'GB'],
    [1e6, 'MB'],
    [1e3, 'kB'],
  ] as const)
    if (bytes >= unit) return `${trimmed(bytes / unit)} ${suffix}`;
  return `${bytes} B`;
}

export const percent = (share: number) => `${(100 * share).toFixed(share > 0 && share < 0.1 ? 1 : 0)} %`;

function trimmed(x: number): string {
  return String(Number(x.toPrecision(3)));
}
