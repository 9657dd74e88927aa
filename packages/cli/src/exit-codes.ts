/** @file The exit codes of every verb, and how an error finds its own. docs/errors.md is generated from this table. */
import { QuasarError } from '@quasar/base';

export const EXIT = { ok: 0, failure: 1, usage: 2, rejected: 3, chainUnreachable: 4, interrupted: 130 } as const;
export type ExitCode = (typeof EXIT)[keyof typeof EXIT];

export const EXIT_MEANINGS: Record<ExitCode, string> = {
  0: 'Done.',
  1: 'Failed: a bug, a broken file or a service that gave up. The line on stderr says which.',
  2: 'Usage: an unknown flag, a bad value, an unreadable folder or a port in use. Nothing was started or written.',
  3: 'Checked and not right: a submission that is refused, a replay that differs. The reasons are printed.',
  4: 'The chain cannot be reached. The same command can succeed later; `validator run` and `miner run` wait for it instead.',
  130: 'Interrupted by Ctrl-C or SIGTERM, after a clean stop.',
};

/** Codes that begin so are the caller's to mend: a flag, the text given with --data, the name of a run. */
const USAGE = /^(usage|data|runs)\./;

export function exitCodeOf(error: unknown): ExitCode {
  if (!(error instanceof QuasarError)) return EXIT.failure;
  if (USAGE.test(error.code)) return EXIT.usage;
  if (error.code === 'miner.rejected') return EXIT.rejected;
  if (error.code === 'chain.unreachable') return EXIT.chainUnreachable;
  return EXIT.failure;
}
