/** @file How a failed verb ends: one line with what to do, or the same as JSON; the stack only with `--verbose`. */
import { QuasarError } from '@quasar/base';
import { CommanderError } from 'commander';
import { EXIT, type ExitCode, exitCodeOf } from './exit-codes.ts';

export interface ReportedError {
  code: string;
  message: string;
  hint?: string;
}

/** The error as plain data. Anything that is not a QuasarError is a bug of ours and says so. */
export function describeError(error: unknown): ReportedError {
  if (error instanceof QuasarError) {
    return { code: error.code, message: error.message, ...(error.hint === undefined ? {} : { hint: error.hint }) };
  }
  if (error instanceof CommanderError) return describeUsage(error);
  const message = error instanceof Error ? error.message : String(error);
  return { code: 'cli.unexpected', message, hint: 'this is a bug; run again with --verbose for the stack' };
}

/** Writes the error and returns the exit code that belongs to it. */
export function reportError(error: unknown, options: { json: boolean; verbose: boolean }): ExitCode {
  // Commander throws for --help and --version too, after it has printed them.
  if (error instanceof CommanderError && error.exitCode === 0) return EXIT.ok;
  const described = describeError(error);
  if (options.json) process.stdout.write(`${JSON.stringify({ error: described })}\n`);
  else process.stderr.write(`${errorLine(described)}\n`);
  if (options.verbose && error instanceof Error) process.stderr.write(`${error.stack}\n`);
  return error instanceof CommanderError ? EXIT.usage : exitCodeOf(error);
}

export function errorLine({ code, message, hint }: ReportedError): string {
  return `quasar: ${message}${hint === undefined ? '' : `; ${hint}`} [${code}]`;
}

/** `commander.unknownOption` -> `usage.unknown_option`; its text is "error: ...\n(Did you mean --x?)". */
function describeUsage(error: CommanderError): ReportedError {
  const what = error.code.replace(/^commander\./, '').replace(/[A-Z]/g, (letter) => `_${letter.toLowerCase()}`);
  if (what === 'help') {
    return { code: 'usage.no_verb', message: 'say what to do', hint: '`quasar --help` lists the verbs' };
  }
  const [first = '', suggestion] = error.message.replace(/^error: /, '').split('\n');
  const hint = suggestion === undefined ? 'see `quasar --help`' : suggestion.replace(/^\(|\)$/g, '').toLowerCase();
  return { code: `usage.${what}`, message: first, hint };
}
