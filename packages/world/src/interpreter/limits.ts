/** @file What a program may use, and how it fails. Every limit counts operations, never time: all machines stop at the same place. */
import { QuasarError } from '@quasar/base';

export interface ProgramLimits {
  /** Expressions and statements evaluated; work on long values counts once per element. */
  steps: number;
  /** List elements and characters ever made, printed ones included: an upper bound of what is in memory. */
  cells: number;
  /** Function calls within each other. */
  calls: number;
}

/** Enough for any question of the world; a run takes a few milliseconds at most. */
export const PROGRAM_LIMITS: ProgramLimits = { steps: 50_000, cells: 20_000, calls: 60 };

/** Longer sources are refused unread. */
export const MAX_SOURCE_CHARS = 4000;
/** Brackets, operators and blocks within each other, in the source. */
export const MAX_NESTING = 40;
/** Evaluations within each other, calls included: keeps the host's own stack shallow. */
export const MAX_DEPTH = 600;

/** @throws QuasarError `world.program` */
export function fail(line: number, what: string): never {
  throw new QuasarError('world.program', `program line ${line}: ${what}`, {
    hint: 'only the subset of Python described in packages/world/src/interpreter/index.ts runs',
  });
}
