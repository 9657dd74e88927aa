/** @file What every verb gets besides its own options: where things are kept, and how to talk to the caller. */
import { existsSync } from 'node:fs';
import { isAbsolute, resolve } from 'node:path';
import { fileURLToPath } from 'node:url';
import type { FlagValues } from '@quasar/train';
import type { Command, Option } from 'commander';

/** The root of the repository this command was compiled in. */
export const REPOSITORY = resolve(fileURLToPath(import.meta.url), '../../../..');

export interface Context {
  /** Absolute folder under which all state lives. */
  home: string;
  /** Print one JSON object as the last line of stdout, nothing else there. */
  json: boolean;
  quiet: boolean;
  verbose: boolean;
  /** The flags of the verb with their values, for a later `--config`; paths that exist are absolute. */
  flags(): FlagValues;
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
    flags: () => flagsOf(command),
    note(line) {
      if (!quiet) process.stderr.write(`${line}\n`);
    },
    result(value, text) {
      process.stdout.write(`${json ? JSON.stringify(value) : typeof text === 'string' ? text : text()}\n`);
    },
  };
}

const PATH = /<(folder|file|path)[^>]*>/;
/** A share behind a path, as `--data` takes it. */
const SHARE = /@[\d.]+$/;

function flagsOf(command: Command): FlagValues {
  const flags: FlagValues = {};
  for (const option of command.options) {
    const name = option.attributeName();
    const value: unknown = command.getOptionValue(name);
    if (command.getOptionValueSource(name) === 'default' && !isAccepted(option, value)) continue;
    if (Array.isArray(value)) flags[name] = value.map((one) => absolute(String(one)));
    else if (typeof value === 'string') {
      const isNew = name === 'out';
      flags[name] = isNew ? fromCaller(value) : PATH.test(option.flags) ? absolute(value) : value;
    } else if (typeof value === 'number' || typeof value === 'boolean') flags[name] = value;
  }
  return flags;
}

/** A default may be a value that cannot be given, such as 0 for "none". */
function isAccepted({ parseArg }: Option, value: unknown): boolean {
  try {
    parseArg?.(String(value), undefined);
    return true;
  } catch {
    return false;
  }
}

/** Text that names something on this disk, so that it means the same from any folder. */
function absolute(text: string): string {
  const share = existsSync(fromCaller(text)) ? '' : (SHARE.exec(text)?.[0] ?? '');
  const path = fromCaller(text.slice(0, text.length - share.length));
  return existsSync(path) ? `${path}${share}` : text;
}
