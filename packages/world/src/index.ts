/** @file The procedural curriculum: seeded questions with checkable answers, for training data and for axes alike. */
export { finalAnswer, MAX_REPLY_CHARS } from './check.ts';
export { generateConversation, itemMessages, type WorldConversation } from './conversation.ts';
export { callFunction, type PlainValue, runProgram } from './interpreter/index.ts';
export { PROGRAM_LIMITS, type ProgramLimits } from './interpreter/limits.ts';
export { checkReply, type GenerateOptions, generateItem, type Split, splitOf } from './seed.ts';
export { ALL_TASKS, HARD_TASKS, TASKS } from './tasks/index.ts';
export type { Task, Verdict, WorldItem, WorldMessage } from './types.ts';
export { reword, WORDING_CHANGES, type WordingChange } from './wording.ts';
export { NAMES, WORDS } from './words.ts';
