/** @file The checkpoints that ship with the repository. */
import { join } from 'node:path';
import { REPOSITORY } from './context.ts';

/** What every local contest measures against. */
export const TEACHER = join(REPOSITORY, 'assets/teacher');
/** What miners start from, and who reigns (uid -1) before the first king. */
export const BASE = join(REPOSITORY, 'assets/base');
