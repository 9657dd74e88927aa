/** @file Runs the compiled `quasar` command (or another program) and collects what it says. */
import { spawn } from 'node:child_process';
import { QUASAR, REPOSITORY } from './paths.ts';

export interface Outcome {
  code: number | null;
  stdout: string;
  stderr: string;
}

/** @param options.input all of standard input; without it there is none */
export function run(
  program: string,
  args: readonly string[],
  options: { cwd?: string; input?: string } = {},
): Promise<Outcome> {
  return new Promise((resolve, reject) => {
    // npm's INIT_CWD names the caller's folder; inherited from the test run it would name a wrong one.
    const { INIT_CWD: _, ...env } = process.env;
    const child = spawn(program, args, { cwd: options.cwd ?? REPOSITORY, env, stdio: ['pipe', 'pipe', 'pipe'] });
    child.stdin.end(options.input ?? '');
    let stdout = '';
    let stderr = '';
    child.stdout.setEncoding('utf8').on('data', (text: string) => {
      stdout += text;
    });
    child.stderr.setEncoding('utf8').on('data', (text: string) => {
      stderr += text;
    });
    child.on('error', reject);
    child.on('close', (code) => resolve({ code, stdout, stderr }));
  });
}

export function quasar(...args: string[]): Promise<Outcome> {
  return run(process.execPath, [QUASAR, ...args]);
}
