/** @file Mean and 95 % interval as a dot with whiskers. Positions are percentages, so the picture fits any width. */
import type { Duel } from '@quasar/server/wire';
import { signed } from '../format.ts';

/** The interval of the verdict: mean ± 1.96 standard errors. */
const Z = 1.96;
const PADDING = 0.06;

export interface Scale {
  low: number;
  high: number;
  /** Value to percent of the width. */
  at(value: number): string;
}

export function scaleOf(duels: Duel[]): Scale {
  const ends = duels.flatMap((duel) => [duel.mu_hat - Z * duel.se, duel.mu_hat + Z * duel.se]);
  const low = Math.min(0, ...ends);
  const high = Math.max(0, ...ends);
  const span = high - low || 1;
  const from = low - span * PADDING;
  const to = high + span * PADDING;
  return { low: from, high: to, at: (value) => `${(((value - from) / (to - from)) * 100).toFixed(3)}%` };
}

export function Whisker({ duel, scale }: { duel: Duel; scale: Scale }) {
  const low = duel.mu_hat - Z * duel.se;
  const high = duel.mu_hat + Z * duel.se;
  const label = `Mean delta ${signed(duel.mu_hat)}, 95 % interval from ${signed(low)} to ${signed(high)}`;
  return (
    <svg className="whisker" role="img" aria-label={label}>
      <title>{label}</title>
      <line className="whisker-zero" x1={scale.at(0)} x2={scale.at(0)} y1="0" y2="100%" />
      <line className="whisker-line" x1={scale.at(low)} x2={scale.at(high)} y1="50%" y2="50%" />
      <line className="whisker-cap" x1={scale.at(low)} x2={scale.at(low)} y1="36%" y2="64%" />
      <line className="whisker-cap" x1={scale.at(high)} x2={scale.at(high)} y1="36%" y2="64%" />
      <circle className="whisker-dot" cx={scale.at(duel.mu_hat)} cy="50%" r="5" />
    </svg>
  );
}

/** Round values along the scale; zero is named by what it means. */
export function ScaleTicks({ scale }: { scale: Scale }) {
  const step = niceStep((scale.high - scale.low) / 6);
  const ticks: number[] = [];
  for (let i = Math.ceil(scale.low / step); i * step <= scale.high; i++) ticks.push(i * step);
  const digits = Math.max(0, -Math.floor(Math.log10(step)));
  return (
    <div className="ticks">
      {ticks.map((tick) => (
        <span key={tick} className={tick === 0 ? 'tick is-zero' : 'tick'} style={{ left: scale.at(tick) }}>
          {tick === 0 ? '0' : signed(tick, digits)}
        </span>
      ))}
    </div>
  );
}

/** 1, 2 or 5 times a power of ten. */
function niceStep(rough: number): number {
  const power = 10 ** Math.floor(Math.log10(rough));
  const factor = [1, 2, 5, 10].find((one) => one * power >= rough) ?? 10;
  return factor * power;
}
