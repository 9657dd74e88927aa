/**
 * @file `--config FILE`: option values from a JSON file, one object per verb: `{"up": {"rounds": 3}, "quiet": true}`.
 * Top-level members that are not verbs are global options. A flag on the command line wins. Unknown names are refused. The
 * `run.json` of a training run is such a file too: its member `run` says what was, and sets nothing.
 */
import { readFileSync } from 'node:fs';
import { QuasarError } from '@quasar/base';
import type { Command, Option } from 'commander';
import { fromCaller } from './context.ts';

const RECORD = 'run';

/** Fills the options of `action` and its parents that the command line left unset. */
export function applyConfig(action: Command): void {
  const path = action.optsWithGlobals<{ config?: string }>().config;
  if (path === undefined) return;
  let level: unknown = read(path);
  const chain = lineage(action);
  for (const [depth, command] of chain.entries()) {
    const values = asObject(level, path, command.name());
    const verbs = new Set(command.commands.map((child) => child.name()));
    for (const [name, value] of Object.entries(values)) {
      if (!verbs.has(name) && !(depth === 0 && name === RECORD)) setOption(command, name, value, path);
    }
    const next = chain[depth + 1];
    if (next === undefined) return;
    level = values[next.name()] ?? {};
  }
}

function lineage(command: Command): Command[] {
  return command.parent === null ? [command] : [...lineage(command.parent), command];
}

function read(path: string): unknown {
  try {
    return JSON.parse(readFileSync(fromCaller(path), 'utf8'));
  } catch (cause) {
    const why = (cause as Error).message;
    throw new QuasarError('usage.config_unreadable', `--config ${path}: ${why}`, { cause, hint: 'give a JSON file' });
  }
}

function asObject(value: unknown, path: string, verb: string): Record<string, unknown> {
  if (typeof value === 'object' && value !== null && !Array.isArray(value)) return value as Record<string, unknown>;
  throw new QuasarError('usage.config_invalid', `${path}: "${verb}" must be an object of option values`);
}

function setOption(command: Command, name: string, value: unknown, path: string): void {
  const option = command.options.find((candidate) => candidate.attributeName() === name);
  if (option === undefined) {
    const known = command.options.map((candidate) => candidate.attributeName()).join(', ');
    throw new QuasarError('usage.config_invalid', `${path}: ${command.name()} has no option "${name}"`, {
      hint: `known are ${known}`,
    });
  }
  const source = command.getOptionValueSource(name);
  if (source !== undefined && source !== 'default') return;
  command.setOptionValueWithSource(name, parseValue(option, value, path), 'config');
}

function parseValue(option: Option, value: unknown, path: string): unknown {
  const name = option.attributeName();
  if (option.isBoolean()) {
    if (typeof value === 'boolean') return value;
    throw new QuasarError(
      'usage.config_invalid',
      `${path}: "${name}" must be true or false, got ${JSON.stringify(value)}`,
    );
  }
  if (Array.isArray(value)) {
    const { parseArg } = option;
    const values = parseArg
      ? value.reduce((before, one) => parseArg(String(one), before), undefined)
      : value.map(String);
    // Of an option that is given once, the parser keeps the last value alone.
    if (option.variadic || Array.isArray(values)) return values;
  }
  if (typeof value !== 'string' && typeof value !== 'number') {
    throw new QuasarError('usage.config_invalid', `${path}: "${name}" must be text or a number`);
  }
  return option.parseArg === undefined ? String(value) : option.parseArg(String(value), undefined);
}
