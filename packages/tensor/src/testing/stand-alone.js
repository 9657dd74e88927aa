/**
 * @file Child process: compiles the kernels with run-cases.c into a program of its own and runs cases in it, so that a
 * sanitizer or an emulated processor sees nothing but kernels. Prints what run-cases.js prints: a SHA-256 per case.
 * Standard input: v8-serialised { compiler, flags, sets: [[isa, flags]], launcher, threads, isa, cases }; `launcher` is
 * the command before the program, such as an emulator.
 */
import { execFile, spawn } from 'node:child_process';
import { createHash } from 'node:crypto';
import { mkdtempSync, readdirSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { deserialize } from 'node:v8';

const kernels = fileURLToPath(new URL('../../kernels', import.meta.url));
const main = fileURLToPath(new URL('run-cases.c', import.meta.url));
const COMMON = ['-std=gnu11', '-fno-math-errno', '-fno-trapping-math', '-ffp-contract=off', '-pthread'];
const STORAGE = { bf16: 1, f16: 2 };

async function compile({ compiler, flags, sets }, directory) {
  const jobs = [{ source: join(kernels, 'pool.c'), name: 'pool', extra: [] }];
  jobs.push({ source: main, name: 'main', extra: sets.map(([isa]) => `-DQ_HAS_${isa.toUpperCase()}`) });
  for (const file of readdirSync(kernels).filter((f) => f.endsWith('.c') && !['pool.c', 'addon.c'].includes(f))) {
    for (const [isa, extra] of sets)
      jobs.push({ source: join(kernels, file), name: `${file}.${isa}`, extra: [...extra, `-DQ_ISA=${isa}`] });
  }
  const objects = jobs.map(({ name }) => join(directory, `${name}.o`));
  const lane = async () => {
    for (let at = next++; at < jobs.length; at = next++) {
      const { source, extra } = jobs[at];
      await run([compiler, ...COMMON, ...flags, ...extra, '-c', source, '-o', objects[at]]);
    }
  };
  let next = 0;
  await Promise.all([lane(), lane()]);
  const program = join(directory, 'run-cases');
  await run([compiler, ...COMMON, ...flags, ...objects, '-ldl', '-o', program]);
  return program;
}

function run([command, ...args]) {
  return new Promise((resolve, reject) =>
    execFile(command, args, (error, _, stderr) => (error ? reject(new Error(stderr || error.message)) : resolve())),
  );
}

function valuesOf(argument) {
  const data = argument.inPlace ?? argument.input ?? argument.output ?? argument;
  return argument instanceof Int32Array || argument.int ? new Int32Array(data) : new Float32Array(data);
}

function encode(cases) {
  const order = [...readFileSync(join(kernels, 'kernels.def'), 'utf8').matchAll(/X\((\w+)\)/g)].map(([, name]) => name);
  const parts = [Uint32Array.of(cases.length)];
  for (const { kernel, buffers, numbers } of cases) {
    parts.push(Uint32Array.of(order.indexOf(kernel), buffers.length, numbers.length), Float64Array.from(numbers));
    for (const argument of buffers) {
      const values = argument && valuesOf(argument);
      parts.push(Int32Array.of(argument ? (STORAGE[argument.type] ?? 0) : -1, values?.length ?? 0));
      if (values) parts.push(values);
    }
  }
  return Buffer.concat(parts.map((part) => Buffer.from(part.buffer, part.byteOffset, part.byteLength)));
}

function execute([command, ...args], input) {
  return new Promise((resolve, reject) => {
    const child = spawn(command, args, { stdio: ['pipe', 'pipe', 'inherit'] });
    const chunks = [];
    child.stdout.on('data', (chunk) => chunks.push(chunk));
    child.stdin.on('error', () => {}); // the program ended early: its exit code says so
    child.on('error', reject);
    child.on('close', (code, signal) =>
      code === 0 ? resolve(Buffer.concat(chunks)) : reject(`exit ${code ?? signal}`),
    );
    child.stdin.end(input);
  });
}

const job = deserialize(readFileSync(0));
const directory = mkdtempSync(join(tmpdir(), 'quasar-run-cases-'));
try {
  const program = await compile(job, directory);
  const output = await execute([...job.launcher, program, String(job.threads), job.isa], encode(job.cases));
  let at = 0;
  const digests = job.cases.map(({ buffers }) => {
    const hash = createHash('sha256');
    for (const argument of buffers) {
      if (!argument) continue;
      const end = at + valuesOf(argument).byteLength;
      if (!argument.scratch) hash.update(output.subarray(at, end));
      at = end;
    }
    return hash.digest('hex');
  });
  console.log(JSON.stringify([{ isa: job.isa, threads: job.threads, digests }]));
} finally {
  rmSync(directory, { recursive: true, force: true });
}
