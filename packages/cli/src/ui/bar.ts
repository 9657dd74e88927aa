/** @file A fraction as a short bar, for tables. */

const CELLS = 10;
const EIGHTHS = ['', '▏', '▎', '▍', '▌', '▋', '▊', '▉'];

/** `value` in [0, 1] as up to `cells` blocks, in eighths. What is above zero is never empty. */
export function bar(value: number, cells = CELLS): string {
  const clamped = Math.min(1, Math.max(0, value));
  const eighths = clamped === 0 ? 0 : Math.max(1, Math.round(clamped * cells * 8));
  return '█'.repeat(Math.floor(eighths / 8)) + EIGHTHS[eighths % 8];
}

/** 0.1234 as `12.3 %`, nothing for 0. */
export function percent(value: number): string {
  return value === 0 ? '' : `${(value * 100).toFixed(1)} %`;
}

/** TAO or alpha with its symbol's name, at most 9 digits after the point, without trailing zeros. */
export function tao(amount: number): string {
  const digits = amount.toFixed(amount >= 1000 ? 2 : amount >= 1 ? 4 : 9);
  return `${digits.replace(/\.?0+$/, '')} TAO`;
}
