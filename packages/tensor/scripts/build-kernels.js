/**
 * @file Compiles kernels/*.c into build/quasar.node with the C compiler it finds: once per instruction set, linked
 * into one addon that picks at run time. Incremental by a hash of sources, flags and compiler. Without a compiler it
 * says so and exits 0: the kernels then run in WebAssembly.
 */
import { execFileSync, spawn } from 'node:child_process';
import { createHash } from 'node:crypto';
import { existsSync, mkdirSync, readdirSync, readFileSync, renameSync, rmSync, writeFileSync } from 'node:fs';
import { createRequire } from 'node:module';
import { dirname, join } from 'node:path';
import { fileURLToPath } from 'node:url';

const root = dirname(dirname(fileURLToPath(import.meta.url)));
const sources = join(root, 'kernels');
const build = join(root, 'build');
const require = createRequire(import.meta.url);

export function findCompiler() {
  for (const name of process.env.CC ? [process.env.CC] : ['cc', 'gcc', 'clang']) {
    try {
      return {
        name,
        version: execFileSync(name, ['--version'], { encoding: 'utf8', stdio: ['ignore', 'pipe', 'ignore'] }).split(
          '\n',
        )[0],
      };
    } catch {}
  }
  return null;
}

/** Runs the compiler once. @throws Error when it fails */
export function run(compiler, args) {
  return new Promise((resolve, reject) => {
    const child = spawn(compiler.name, args, { stdio: ['ignore', 'inherit', 'inherit'] });
    child.on('error', reject);
    child.on('exit', (code) =>
      code === 0 ? resolve() : reject(new Error(`${compiler.name} ${args.join(' ')}: exit ${code}`)),
    );
  });
}

/** Compiles jobs ({ args, output }), two at a time. @throws Error when one fails */
export async function compile(compiler, jobs) {
  const queue = [...jobs];
  const lane = async () => {
    for (let job = queue.shift(); job; job = queue.shift()) await run(compiler, [...job.args, '-o', job.output]);
  };
  await Promise.all([lane(), lane()]);
}

/** Instruction sets that this processor family may have, plainest first, with the flags that each is compiled with. */
export const INSTRUCTION_SETS =
  process.arch === 'x64'
    ? [
        ['plain', []],
        ['avx2', ['-mavx2', '-mfma']],
        ['avx512', ['-mavx512f', '-mavx512bw', '-mavx512dq', '-mavx512vl', '-mfma', '-mprefer-vector-width=512']],
      ]
    : [['plain', []]];

/** What decides the meaning of the kernels, whatever they are compiled for. */
export const KERNEL_FLAGS = [
  '-std=gnu11',
  '-fno-math-errno',
  '-fno-trapping-math',
  '-ffp-contract=off',
  '-Wall',
  '-Werror=implicit-function-declaration',
];

/** @returns {Promise<{ok: boolean, message: string, compiler: string | null}>} */
export async function buildKernels() {
  const compiler = findCompiler();
  if (!compiler) {
    return {
      ok: false,
      compiler: null,
      message:
        'no C compiler found (tried cc, gcc, clang): the kernels run in WebAssembly, several times slower; install gcc or clang to train at speed',
    };
  }
  const include = require('node-api-headers').include_dir;
  const sets = INSTRUCTION_SETS;
  const common = [...KERNEL_FLAGS, '-O3', '-fPIC', '-fvisibility=hidden'];
  const files = readdirSync(sources).sort();
  const hash = createHash('sha256').update(JSON.stringify([compiler, sets, common, process.arch, process.platform]));
  for (const file of files) hash.update(file).update(readFileSync(join(sources, file)));
  const digest = hash.digest('hex');
  const target = join(build, 'quasar.node');
  const stamp = join(build, 'stamp');
  if (existsSync(target) && existsSync(stamp) && readFileSync(stamp, 'utf8') === digest) {
    return { ok: true, compiler: compiler.version, message: 'kernels are up to date' };
  }
  const work = join(build, `work-${process.pid}`);
  mkdirSync(work, { recursive: true });
  try {
    const shared = ['pool.c', 'addon.c'];
    const jobs = shared.map((file) => ({
      output: join(work, `${file}.o`),
      args: [
        ...common,
        ...sets.map(([name]) => `-DQ_HAS_${name.toUpperCase()}`),
        `-I${include}`,
        '-c',
        join(sources, file),
      ],
    }));
    for (const [name, flags] of sets) {
      for (const file of files.filter((f) => f.endsWith('.c') && !shared.includes(f))) {
        jobs.push({
          output: join(work, `${file}.${name}.o`),
          args: [...common, ...flags, `-DQ_ISA=${name}`, '-c', join(sources, file)],
        });
      }
    }
    await compile(compiler, jobs);
    const link = process.platform === 'darwin' ? ['-bundle', '-undefined', 'dynamic_lookup'] : ['-shared'];
    const output = join(work, 'quasar.node');
    await run(compiler, [...link, ...jobs.map((job) => job.output), '-pthread', '-o', output]);
    renameSync(output, target);
    writeFileSync(stamp, digest);
    return {
      ok: true,
      compiler: compiler.version,
      message: `compiled kernels for ${sets.map(([name]) => name).join(', ')}`,
    };
  } catch (error) {
    return {
      ok: false,
      compiler: compiler.version,
      message: `kernels do not compile (${error.message.split('\n')[0]}): the kernels run in WebAssembly, several times slower`,
    };
  } finally {
    rmSync(work, { recursive: true, force: true });
  }
}

if (process.argv[1] === fileURLToPath(import.meta.url)) {
  const result = await buildKernels();
  console.error(`kernels: ${result.message}`);
}
