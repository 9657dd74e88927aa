/** @file Builds the stand-alone runner of kernel calls with a sanitizer and runs calls on it. */
import { execFile } from 'node:child_process';
import { mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { compile, findCompiler, INSTRUCTION_SETS, KERNEL_FLAGS, run } from '../build-kernels.js';

const here = dirname(fileURLToPath(import.meta.url));
const kernels = join(here, '../../kernels');
const ENVIRONMENT = {
  ASAN_OPTIONS: 'detect_leaks=0',
  UBSAN_OPTIONS: 'halt_on_error=1:print_stacktrace=1',
  TSAN_OPTIONS: 'halt_on_error=1',
};

/** The widest set that this processor runs. */
export function widest() {
  let flags = '';
  try {
    flags = readFileSync('/proc/cpuinfo', 'utf8').match(/^flags.*$/m)?.[0] ?? '';
  } catch {}
  const has = { plain: true, avx2: / avx2 .* fma | fma .* avx2 /.test(flags), avx512: / avx512vl /.test(flags) };
  return INSTRUCTION_SETS.findLast(([name]) => has[name]);
}

/**
 * @param {'address,undefined' | 'thread'} sanitizer
 * @returns {Promise<{ path: string, wide: string, dispose(): void }>} `wide`: name of the set behind `wide`
 */
export async function buildRunner(sanitizer) {
  const compiler = findCompiler();
  if (!compiler) throw new Error('sanitize: no C compiler found');
  const [wide, wideFlags] = widest();
  const work = mkdtempSync(join(tmpdir(), 'quasar-sanitize-'));
  const common = [
    ...KERNEL_FLAGS,
    '-O2',
    '-g1',
    '-fno-omit-frame-pointer',
    `-fsanitize=${sanitizer}`,
    '-fno-sanitize-recover=all',
    '-DQ_EXACT',
  ];
  const object = (name, file, flags) => ({
    output: join(work, `${name}.o`),
    args: [...common, ...flags, '-c', file],
  });
  const shared = ['pool.c', 'addon.c'];
  const jobs = [
    object('pool', join(kernels, 'pool.c'), []),
    object('runner', join(here, 'runner.c'), [`-DQ_WIDE=${wide}`]),
  ];
  for (const [isa, flags] of wide === 'plain'
    ? [['plain', []]]
    : [
        ['plain', []],
        [wide, wideFlags],
      ]) {
    for (const file of readdirSync(kernels).filter((name) => name.endsWith('.c') && !shared.includes(name)))
      jobs.push(object(`${file}.${isa}`, join(kernels, file), [...flags, `-DQ_ISA=${isa}`]));
  }
  await compile(compiler, jobs);
  const path = join(work, 'runner');
  await run(compiler, [`-fsanitize=${sanitizer}`, ...jobs.map((job) => job.output), '-pthread', '-lm', '-o', path]);
  return { path, wide, dispose: () => rmSync(work, { recursive: true, force: true }) };
}

/**
 * Runs calls (see src/testing/case.ts) one after the other.
 * @returns {Promise<(Float32Array | Int32Array | null)[][]>} what each buffer of each call holds afterwards
 * @throws Error with the sanitizer's report
 */
export async function runSanitized(runner, cases, { threads, isa }) {
  const directory = mkdtempSync(join(tmpdir(), 'quasar-cases-'));
  try {
    const [input, output] = [join(directory, 'cases'), join(directory, 'results')];
    writeFileSync(input, serialized(cases));
    await new Promise((resolve, reject) => {
      execFile(
        runner.path,
        [String(threads), isa, input, output],
        { env: { ...process.env, ...ENVIRONMENT }, maxBuffer: 1e8 },
        (error, _, stderr) => (error ? reject(new Error(stderr || error.message)) : resolve()),
      );
    });
    return results(cases, readFileSync(output));
  } finally {
    rmSync(directory, { recursive: true, force: true });
  }
}

const KINDS = { float: 0, bf16: 1, f16: 2, int: 3 };
const OUTPUT = 16;

/** Storage type, values (null: an output) and count of an argument. */
function described(argument) {
  if (argument instanceof Int32Array) return { type: 'int', values: argument, length: argument.length };
  if (ArrayBuffer.isView(argument)) return { type: 'float', values: argument, length: argument.length };
  if ('output' in argument)
    return { type: argument.type ?? (argument.int ? 'int' : 'float'), values: null, length: argument.output };
  const values = argument.inPlace ?? argument.input;
  return { type: argument.type ?? 'float', values, length: values.length };
}

function serialized(cases) {
  const parts = [];
  const ints = (...values) => parts.push(Buffer.from(Int32Array.from(values).buffer));
  const text = (value) => {
    const bytes = Buffer.from(value);
    ints(bytes.length);
    parts.push(bytes);
  };
  ints(cases.length);
  for (const { name, kernel, buffers, numbers } of cases) {
    text(name.slice(0, 200));
    text(kernel);
    ints(numbers.length);
    parts.push(Buffer.from(Float64Array.from(numbers).buffer));
    ints(buffers.length);
    for (const argument of buffers) {
      if (argument === null) {
        ints(-1);
        continue;
      }
      const { type, values, length } = described(argument);
      ints(KINDS[type] + (values ? 0 : OUTPUT), length);
      if (values) parts.push(Buffer.from((type === 'int' ? Int32Array : Float32Array).from(values).buffer));
    }
  }
  return Buffer.concat(parts);
}

function results(cases, bytes) {
  let at = 0;
  return cases.map(({ buffers }) =>
    buffers.map((argument) => {
      if (argument === null) return null;
      const { type, length } = described(argument);
      const data = bytes.buffer.slice(bytes.byteOffset + at, bytes.byteOffset + at + 4 * length);
      at += 4 * length;
      return type === 'int' ? new Int32Array(data) : new Float32Array(data);
    }),
  );
}
