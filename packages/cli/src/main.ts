/** @file Entry point of the `quasar` command: parse, run one verb, set the exit code. */
import { createProgram } from './program.ts';
import { describeError, reportError } from './report-error.ts';
import { tellSupervisor } from './service.ts';

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
}
