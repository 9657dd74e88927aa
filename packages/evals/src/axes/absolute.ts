/** @file All axes that stand on their own scale, from one set of answers: a pure function, which a replay computes again. */
import type { AxisValue } from '../composite.ts';
import type { Answer } from './answers.ts';
import { capability } from './capability.ts';
import { AXES, AXIS_NAMES, type AxisName } from './catalogue.ts';
import { type ConversationReference, conversation, conversationReference } from './conversation.ts';
import { degeneracy } from './degeneracy.ts';
import { length, meanTokens } from './length.ts';
import { passFraction } from './pass-fraction.ts';
import { reasoningDensity } from './reasoning-density.ts';
import { selfConsistency } from './self-consistency.ts';

/** The teacher on the same questions. */
export interface TeacherReference {
  /** On the axis `capability`. */
  passFraction: number;
  meanTokens: number;
  conversation: ConversationReference;
}

const DERIVED = new Set<AxisName>(AXIS_NAMES.filter((name) => AXES[name].kind === 'derived'));

export function teacherReference(answers: readonly Answer[]): TeacherReference {
  return {
    passFraction: passFraction(of(answers, 'capability')).value,
    meanTokens: meanTokens(answers),
    conversation: conversationReference(answers),
  };
}

/** One value per axis that was asked about, and the derived ones. */
export function absoluteAxes(
  answers: readonly Answer[],
  teacher: TeacherReference,
): Partial<Record<AxisName, AxisValue>> {
  const asked = AXIS_NAMES.filter((name) => DERIVED.has(name) || answers.some(({ axis }) => axis === name));
  return Object.fromEntries(asked.map((name) => [name, axisValue(name, answers, teacher)]));
}

function axisValue(name: AxisName, all: readonly Answer[], teacher: TeacherReference): AxisValue {
  const own = of(all, name);
  if (name === 'capability') return capability(own, teacher.passFraction);
  if (name === 'length') return length(all, teacher.meanTokens);
  if (name === 'degeneracy') return degeneracy(all);
  if (name === 'reasoning_density') return reasoningDensity(all);
  if (name === 'self_consistency') return selfConsistency(of(all, 'robustness'));
  return AXES[name].kind === 'conversation' ? conversation(own, teacher.conversation) : passFraction(own);
}

function of(answers: readonly Answer[], name: AxisName): Answer[] {
  return answers.filter(({ axis }) => axis === name);
}
