/** @file Parsers for option values. Each refuses with one line that says what it got and what it wants. */
import { InvalidArgumentError, Option } from 'commander';
import { fromCaller } from './context.ts';

/** A whole number in [low, high]. */
export function wholeNumber(low: number, high = Number.MAX_SAFE_INTEGER): (text: string) => number {
  return (text) => {
    const value = Number(text);
    if (/^\d+$/.test(text) && value >= low && value <= high) return value;
    const range = high === Number.MAX_SAFE_INTEGER ? `of at least ${low}` : `from ${low} to ${high}`;
    throw new InvalidArgumentError(`Expected a whole number ${range}.`);
  };
}

export const port = wholeNumber(1, 65_535);

/** A name that is safe as a file name and as an owner on the hub. */
export function walletName(text: string): string {
  if (/^[A-Za-z0-9][A-Za-z0-9._-]{0,63}$/.test(text)) return text;
  throw new InvalidArgumentError('Expected letters, digits, dots, dashes or underscores.');
}

/** The dial of `recipe` in @quasar/train. */
export function depth(text: string): number {
  const value = wholeNumber(2, 48)(text);
  if (value % 2 === 0) return value;
  throw new InvalidArgumentError('Expected an even number: a layer adds 32 channels, and heads have 64.');
}

/** For verbs that load a checkpoint which may be the branches of a graft. */
export function graftBaseOption(): Option {
  return new Option('--base <folder>', 'of branches that `quasar graft` wrote: the model under them, if it was moved');
}

/** The `base` of `loadCheckpoint`. */
export function graftBase({ base }: { base?: string }): { base?: string } {
  return base === undefined ? {} : { base: fromCaller(base) };
}
