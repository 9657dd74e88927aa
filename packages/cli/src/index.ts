/** @file Floor 7: the `quasar` command. Other code runs it as a program; what is exported here is for docs and tests. */
export { EXIT, EXIT_MEANINGS, exitCodeOf } from './exit-codes.ts';
export { main } from './main.ts';
export { createProgram } from './program.ts';
