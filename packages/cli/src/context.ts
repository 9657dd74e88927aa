/** @file What every verb gets besides its own options: where things are kept, and how to talk to the caller. */
import { isAbsolute, resolve } from 'node:path';
import { fileURLToPath } from 'node:url';
import type { Command } from 'commander';

/** The root of the repository this command was compiled in. */
export const REPOSITORY = resolve(fileURLToPath(import.meta.url), '../../../..');

export interface Context {
  /** Absolute folder under which all state lives. */
  home: string;
  /** Print one JSON object as the last line of stdout, nothing else there. */
  json: boolean;
  quiet: boolean;
  verbose: boolean;
  /** A line about progress: stderr, nothing with `--quiet`. */
  note(line: string): void;
  /** The result: `value` as one line of JSON with `--json`, else the text for people. */
  result(value: unknown, text: string | (() => string)): void;
}

/** Paths given by the user are relative to where npm was called, not to the package that npm changed into. */
export function fromCaller(path: string): string {
  return isAbsolute(path) ? path : resolve(process.env.INIT_CWD ?? process.cwd(), path);
}

export function contextOf(command: Command): Context {
  const options = command.optsWithGlobals<{ home?: string; json?: true; quiet?: true; verbose?: true }>();
  const quiet = options.quiet === true;
  const json = options.json === true;
  return {
    home: options.home === undefined ? resolve(REPOSITORY, '.quasar') : fromCaller(options.home),
    json,
    quiet,
    verbose: options.verbose === true,
    note(line) {
      if (!quiet) process.stderr.write(`${line}\n`);
    },
    result(value, text) {
      process.stdout.write(`${json ? JSON.stringify(value) : typeof text === 'string' ? text : text()}\n`);
    },
  };
}
