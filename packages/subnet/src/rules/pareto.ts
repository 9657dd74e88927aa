/**
 * @file The Pareto view of a duel: on how many axes is the challenger better than the king, on how many worse?
 *
 * Axes that both have and that are not broken, each with a margin; a majority of them won, and no more lost than won, is a
 * soft dominance. It is shown beside the verdict and decides nothing. Source: subnet.md section 12.
 */
import type { Composite } from '@quasar/evals';

export interface ParetoRules {
  /** Differences up to this are ties. */
  margin: number;
  /** Fewer comparable axes say nothing. */
  minAxes: number;
}

export interface ParetoView {
  /** Names of axes, in the order of the rules. */
  wins: string[];
  losses: string[];
  ties: string[];
  /** The challenger wins most of the comparable axes; false with too few of them. */
  dominates: boolean;
}

export function paretoView(challenger: Composite, king: Composite, rules: ParetoRules): ParetoView {
  const view: ParetoView = { wins: [], losses: [], ties: [], dominates: false };
  let comparable = 0;
  for (const [name, own] of Object.entries(challenger.axes)) {
    const other = king.axes[name];
    if (!other || own.broken || other.broken) continue;
    comparable++;
    const gain = own.value - other.value;
    view[gain > rules.margin ? 'wins' : gain < -rules.margin ? 'losses' : 'ties'].push(name);
  }
  const { wins, losses } = view;
  view.dominates = comparable >= rules.minAxes && 2 * wins.length > comparable && wins.length >= losses.length;
  return view;
}
