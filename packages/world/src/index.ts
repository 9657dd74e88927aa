/** @file The procedural curriculum: seeded questions with checkable answers, for training data and for axes alike. */
export { MAX_REPLY_CHARS } from './check.ts';
export { generateConversation, itemMessages, type WorldConversation } from './conversation.ts';
export { runProgram } from './interpreter.ts';
export { checkReply, type GenerateOptions, generateItem, type Split, splitOf } from './seed.ts';
export { TASKS } from './tasks/index.ts';
export type { Task, Verdict, WorldItem, WorldMessage } from './types.ts';
export { NAMES, WORDS } from './words.ts';
