/** @file Entry point of the `quasar` command: parse, run one verb, set the exit code. */
import { EXIT } from './exit-codes.ts';
import { createProgram } from './program.ts';
import { describeError, reportError } from './report-error.ts';
import { tellSupervisor } from './service.ts';

/** An interrupted verb has let go of everything but calls to somebody who is silent: these are cut off. */
const LEFTOVERS_MS = 1000;

/**
 * Runs one command line. Sets `process.exitCode` and returns; the process ends when the verb has let go of everything.
 * @param argv arguments after `quasar`
 */
export async function main(argv: readonly string[]): Promise<void> {
  try {
    await createProgram().parseAsync([...argv], { from: 'user' });
  } catch (error) {
    tellSupervisor({ type: 'error', error: describeError(error) });
    process.exitCode = reportError(error, {
      json: argv.includes('--json'),
      verbose: argv.includes('--verbose'),
    });
  }
  if (process.exitCode === EXIT.interrupted) setTimeout(() => process.exit(), LEFTOVERS_MS).unref();
}
