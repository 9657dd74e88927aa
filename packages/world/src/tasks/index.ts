/** @file The tasks of the world, in the order in which reports list them. */
import type { Task } from '../types.ts';
import { arithmetic } from './arithmetic.ts';
import { chat } from './chat.ts';
import { competition } from './competition.ts';
import { constraints } from './constraints.ts';
import { copy } from './copy.ts';
import { dialogue } from './dialogue.ts';
import { facts } from './facts.ts';
import { instruction } from './instruction.ts';
import { needle } from './needle.ts';
import { ordering } from './ordering.ts';
import { program } from './program.ts';
import { recall } from './recall.ts';
import { reverse } from './reverse.ts';
import { sort } from './sort.ts';
import { toolCall } from './tool-call.ts';
import { toolSchema } from './tool-schema.ts';
import { traceProgram } from './trace-program.ts';
import { wordProblem } from './word-problem.ts';
import { writeProgram } from './write-program.ts';

/**
 * Drawn where no task is named: what models of a million parameters learn. Recipes and shipped models were made with
 * exactly these, so the list stays as it is.
 */
export const TASKS: readonly Task[] = [
  arithmetic,
  copy,
  reverse,
  sort,
  recall,
  facts,
  instruction,
  toolCall,
  chat,
  program,
];

/** Drawn only by name: what models of a billion parameters are asked. */
export const HARD_TASKS: readonly Task[] = [
  wordProblem,
  competition,
  ordering,
  traceProgram,
  writeProgram,
  constraints,
  toolSchema,
  needle,
  dialogue,
];

export const ALL_TASKS: readonly Task[] = [...TASKS, ...HARD_TASKS];
