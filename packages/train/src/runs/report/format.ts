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

/** 8 s, 4 min 10 s, 2 h 5 min, 3 d 4 h. */
export function durationText(ms: number): string {
  const seconds = Math.round(ms / 1000);
  if (seconds < 60) return `${seconds} s`;
  const [days, hours, minutes] = [
    Math.floor(seconds / 86_400),
    Math.floor(seconds / 3600) % 24,
    Math.floor(seconds / 60) % 60,
  ];
  if (days > 0) return `${days} d ${hours} h`;
  return hours > 0 ? `${hours} h ${minutes} min` : `${minutes} min ${seconds % 60} s`;
}

export const percent = (share: number) => `${(100 * share).toFixed(share < 0.1 ? 1 : 0)} %`;

function trimmed(x: number): string {
  return String(Number(x.toPrecision(3)));
}
