/** @file Where evaluations are handed out, and how they are computed: options of validator and evaluator. */
import { Option } from 'commander';
import { fromCaller } from './context.ts';
import { wholeNumber } from './options.ts';

/** Addresses stay as they are; paths are relative to where the command was called. */
export function queueAddress(given: string): string {
  return /^[a-z][a-z0-9+.-]+:/i.test(given) ? given : fromCaller(given);
}

export function threadsOption(): Option {
  return new Option(
    '--threads <number>',
    'threads of an evaluator (default: one per core); no result depends on it',
  ).argParser(wholeNumber(1, 256));
}
