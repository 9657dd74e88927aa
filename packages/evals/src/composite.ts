/**
 * @file Many axes into three numbers: `worst`, `weighted` and the crown `quality`.
 *
 *     worst    = min over present, non-broken axes
 *     weighted = sum w v / sum w over present axes
 *     quality  = the same mean over present, non-broken, non-relative axes
 *
 * Relative axes compare with the king or the best of the round; the crown gate must not count the duel twice, so
 * `quality` leaves them out. An axis is broken in a round when the teacher fails it (it measures the test, not the
 * student) or when the base model scores zero on it. Source: subnet.md sections 12 and 13.
 */

export interface AxisSpec {
  name: string;
  weight: number;
  /** Measured against the other models of the round, not on a scale of its own. */
  relative: boolean;
  /** Fewer valid items than this and the axis is absent. */
  minValid: number;
}

/** One model on one axis. `value` in [0, 1]; `n` counts the items behind it. */
export interface AxisValue {
  value: number;
  n: number;
}

export interface ScoredAxis extends AxisValue {
  broken: boolean;
}

export interface BrokenAxisRules {
  /** The teacher must reach this value. */
  minTeacher: number;
  /** Whether a base model that scores zero breaks the axis. Off while the base is untrained. */
  needsBaseAboveZero: boolean;
}

export interface Composite {
  axes: Record<string, ScoredAxis>;
  weighted: number;
  worst: number;
  worstAxis: string | null;
  quality: number;
  /** Axes that count for `quality`. */
  qualityAxes: number;
}

type AxisValues = Readonly<Record<string, AxisValue>>;

/**
 * Names of the axes that measure nothing this round. Relative axes and axes without a teacher value are never broken.
 */
export function brokenAxes(
  specs: readonly AxisSpec[],
  teacher: AxisValues,
  base: AxisValues,
  rules: BrokenAxisRules,
): Set<string> {
  const broken = new Set<string>();
  for (const { name, relative } of specs) {
    if (relative) continue;
    const teacherFails = name in teacher && !(teacher[name]!.value >= rules.minTeacher);
    const baseIsZero = rules.needsBaseAboveZero && name in base && base[name]!.value === 0;
    if (teacherFails || baseIsZero) broken.add(name);
  }
  return broken;
}

/**
 * Fold axis values. Axes without a spec, with too few items or without a finite value are absent; with nothing
 * present every number is 0, which no gate passes.
 */
export function composeAxes(
  specs: readonly AxisSpec[],
  values: AxisValues,
  broken: ReadonlySet<string> = new Set(),
): Composite {
  const axes: Record<string, ScoredAxis> = {};
  const all = new WeightedMean();
  const quality = new WeightedMean();
  let worst: { name: string; value: number } | null = null;
  for (const { name, weight, relative, minValid } of specs) {
    const axis = values[name];
    if (!axis || axis.n < minValid || !Number.isFinite(axis.value)) continue;
    const isBroken = broken.has(name);
    axes[name] = { value: axis.value, n: axis.n, broken: isBroken };
    if (weight === 0) continue;
    all.add(axis.value, weight);
    if (isBroken) continue;
    if (!relative) quality.add(axis.value, weight);
    if (!worst || axis.value < worst.value) worst = { name, value: axis.value };
  }
  return {
    axes,
    weighted: all.value,
    worst: worst?.value ?? 0,
    worstAxis: worst?.name ?? null,
    quality: quality.value,
    qualityAxes: quality.count,
  };
}

class WeightedMean {
  count = 0;
  #sum = 0;
  #weight = 0;

  add(value: number, weight: number): void {
    this.count++;
    this.#sum += weight * value;
    this.#weight += weight;
  }

  get value(): number {
    return this.#weight > 0 ? this.#sum / this.#weight : 0;
  }
}
