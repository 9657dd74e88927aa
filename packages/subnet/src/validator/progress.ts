/** @file Telling whoever watches how far an evaluation is. For people only: nothing here is needed to go on. */
import type { EvaluationProgress } from '../events.ts';
import type { RoundState } from '../projection.ts';
import type { Context } from './context.ts';

export function report(
  context: Pick<Context, 'append' | 'atBlock'>,
  round: RoundState,
  progress: Omit<EvaluationProgress, 'round' | 'atBlock'>,
): void {
  context.append({
    type: 'evaluation.progress',
    data: { round: round.round, atBlock: context.atBlock, ...progress },
  });
}
