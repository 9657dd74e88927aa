/** @file All axes that stand on their own scale, from one set of answers. */
import type { AxisValue } from '../composite.ts';
import type { Answer } from './answers.ts';
import { capability } from './capability.ts';
import { degeneracy } from './degeneracy.ts';
import { length, meanTokens } from './length.ts';
import { passFraction, passFractions } from './pass-fraction.ts';
import { reasoningDensity } from './reasoning-density.ts';

/** The teacher on the same questions. */
export interface TeacherReference {
  passFraction: number;
  meanTokens: number;
}

export function teacherReference(answers: readonly Answer[]): TeacherReference {
  return { passFraction: passFraction(answers).value, meanTokens: meanTokens(answers) };
}

export function absoluteAxes(answers: readonly Answer[], teacher: TeacherReference): Record<string, AxisValue> {
  return {
    ...passFractions(answers),
    capability: capability(answers, teacher.passFraction),
    length: length(answers, teacher.meanTokens),
    degeneracy: degeneracy(answers),
    reasoning_density: reasoningDensity(answers),
  };
}
