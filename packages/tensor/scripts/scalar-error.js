/**
 * @file `node packages/tensor/scripts/scalar-error.js [--stride N]`: the worst error of each function of scalar.h against
 * double precision over every float (with a stride: over every N-th), on all cores. Exit code 1 above 2 ulp or where
 * NaN, infinity or the sign of zero is wrong.
 */
import { execFile } from 'node:child_process';
import { mkdtempSync, rmSync } from 'node:fs';
import { availableParallelism, tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { parseArgs } from 'node:util';
import { findCompiler, KERNEL_FLAGS, run } from './build-kernels.js';
import { widest } from './sanitize/sanitized.js';

export const FUNCTIONS = ['exp', 'log', 'log1p', 'expm1', 'tanh', 'sigmoid', 'softplus', 'log_sigmoid', 'silu'];
export const LIMIT_ULP = 2;

/** Compiles the measuring program. @param {readonly [string, string[]]} set of `INSTRUCTION_SETS` */
export async function buildMeasure([, flags] = widest()) {
  const work = mkdtempSync(join(tmpdir(), 'quasar-scalar-'));
  const path = join(work, 'scalar-error');
  const source = fileURLToPath(new URL('scalar-error/scalar-error.c', import.meta.url));
  await run(findCompiler(), [...KERNEL_FLAGS, ...flags, '-O3', source, '-lm', '-o', path]);
  return { path, dispose: () => rmSync(work, { recursive: true, force: true }) };
}

/**
 * Over the floats whose bits are first, first + stride, ...
 * @returns {Promise<{ worst: number, at: number, wrong: number, hash: string }>} worst error in ulp and where; how many
 * values break the rules for NaN and zero; a hash of all results
 */
export function measure({ path }, name, first, stride) {
  return new Promise((resolve, reject) => {
    execFile(path, [name, String(first), String(stride)], (error, stdout) => {
      if (error) return reject(error);
      const [worst, at, wrong, hash] = stdout.trim().split(' ');
      resolve({ worst: Number(worst), at: Number(at), wrong: Number(wrong), hash });
    });
  });
}

if (process.argv[1] === fileURLToPath(import.meta.url)) {
  const { values } = parseArgs({ options: { stride: { type: 'string', default: '1' } } });
  const lanes = availableParallelism();
  const program = await buildMeasure();
  console.log('function      worst ulp  at x              wrong NaN or zero');
  for (const name of FUNCTIONS) {
    const parts = await Promise.all(
      Array.from({ length: lanes }, (_, lane) =>
        measure(program, name, lane * Number(values.stride), lanes * Number(values.stride)),
      ),
    );
    const { worst, at } = parts.reduce((a, b) => (b.worst > a.worst ? b : a));
    const wrong = parts.reduce((sum, part) => sum + part.wrong, 0);
    console.log(`${name.padEnd(12)}  ${worst.toFixed(3).padStart(9)}  ${String(at).padEnd(16)}  ${wrong}`);
    if (!(worst <= LIMIT_ULP) || wrong > 0) process.exitCode = 1;
  }
  program.dispose();
}
