/** @file Numbers and times as people read them. Digits are tabular; a minus is a real minus. */

const MINUS = '−';

/** `+0.0123`, `−0.0040`. */
export function signed(value: number, digits = 4): string {
  return `${value < 0 ? MINUS : '+'}${Math.abs(value).toFixed(digits)}`;
}

export function fixed(value: number | null, digits = 3): string {
  return value === null ? 'n/a' : value < 0 ? signed(value, digits) : value.toFixed(digits);
}

export function pValue(p: number): string {
  return p < 0.0001 ? '< 0.0001' : p.toFixed(4);
}

export function percent(share: number): string {
  return `${Number((share * 100).toFixed(1))}\u00a0%`;
}

export function count(value: number): string {
  return value.toLocaleString('en-US').replaceAll(',', '\u202f');
}

/** `now`, `8 s ago`, `5 min ago`, `3 h ago`, `2 d ago`. */
export function ago(thenMs: number, nowMs: number): string {
  const seconds = Math.max(0, Math.round((nowMs - thenMs) / 1000));
  if (seconds < 1) return 'now';
  if (seconds < 90) return `${seconds} s ago`;
  const minutes = Math.round(seconds / 60);
  if (minutes < 90) return `${minutes} min ago`;
  const hours = Math.round(minutes / 60);
  return hours < 48 ? `${hours} h ago` : `${Math.round(hours / 24)} d ago`;
}

export function clockTime(atMs: number): string {
  return new Date(atMs).toLocaleTimeString('en-GB');
}

export function uidName(uid: number): string {
  return uid < 0 ? 'the base student' : `uid ${uid}`;
}

/** How a round ended, in words. */
export function outcomeText(outcome: string): string {
  return OUTCOMES[outcome] ?? outcome.replaceAll('_', ' ');
}

const OUTCOMES: Record<string, string> = {
  crowned: 'a new king was crowned',
  king_stays: 'the king stays',
  king_removed: 'the king lost the crown',
  no_challengers: 'nobody challenged',
  no_verdict: 'it could not be judged, the king stays',
};
