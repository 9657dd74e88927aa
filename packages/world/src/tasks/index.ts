/** @file The tasks of the world, in the order in which reports list them. */
import type { Task } from '../types.ts';
import { arithmetic } from './arithmetic.ts';
import { chat } from './chat.ts';
import { copy } from './copy.ts';
import { facts } from './facts.ts';
import { instruction } from './instruction.ts';
import { program } from './program.ts';
import { recall } from './recall.ts';
import { reverse } from './reverse.ts';
import { sort } from './sort.ts';
import { toolCall } from './tool-call.ts';

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
