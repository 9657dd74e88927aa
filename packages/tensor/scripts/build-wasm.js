/**
 * @file Compiles kernels/*.c and wasm/*.c into wasm/quasar.wasm (SIMD128) and wasm/quasar-relaxed.wasm (with relaxed
 * SIMD), the files that the package ships. The bytes depend on the sources and on clang's version alone; the shipped
 * files come from clang CLANG_MAJOR, and src/devices/wasm/build-wasm.test.ts compares them with what it compiles.
 *
 * Usage: node packages/tensor/scripts/build-wasm.js [folder]
 */
import { execFileSync, spawn } from 'node:child_process';
import { mkdirSync, mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { availableParallelism, tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import { fileURLToPath } from 'node:url';

const CLANG_MAJOR = 19;
const OLDEST = 16;

const root = dirname(dirname(fileURLToPath(import.meta.url)));
const SHIPPED = join(root, 'wasm');
const MODULES = ['quasar.wasm', 'quasar-relaxed.wasm'];

/** clang 16 or newer with its wasm-ld, or null. `$CC_WASM` comes first, then the version of the shipped files. */
function findClang() {
  const versions = [CLANG_MAJOR, 20, 18, 17, OLDEST].map((major) => `clang-${major}`);
  for (const name of [process.env.CC_WASM, ...versions, 'clang'].filter(Boolean)) {
    try {
      const text = execFileSync(name, ['--version'], { encoding: 'utf8', stdio: ['ignore', 'pipe', 'ignore'] });
      const major = Number(/clang version (\d+)/.exec(text)?.[1] ?? 0);
      const linker = execFileSync(name, ['--print-prog-name=wasm-ld'], { encoding: 'utf8' }).trim();
      execFileSync(linker, ['--version'], { stdio: 'ignore' });
      if (major >= OLDEST) return { name, major, linker };
    } catch {}
  }
  return null;
}

const COMPILE = [
  '--target=wasm32',
  '-std=gnu11',
  '-O3',
  '-msimd128',
  '-matomics',
  '-mbulk-memory',
  '-mnontrapping-fptoint',
  '-ffreestanding',
  '-nostdlibinc',
  '-fno-math-errno',
  '-fno-trapping-math',
  '-ffp-contract=off',
  '-fvisibility=hidden',
  '-Wall',
  '-DQ_ISA=wasm',
];
const LINK = [
  '--no-entry',
  '--import-memory',
  '--shared-memory',
  `--max-memory=${2 ** 32}`,
  '--stack-first',
  `-zstack-size=${2 ** 20}`,
  ...['__heap_base', '__stack_pointer', '__wasm_init_tls', '__tls_size', '__tls_align'].map(
    (name) => `--export=${name}`,
  ),
  '--strip-all',
];

/** Widths of LLVM's `fmuladd` that vectorised code holds, by type. */
const WIDTHS = { f32: 1, v2f32: 2, v4f32: 4, v8f32: 8, v16f32: 16 };

/**
 * q_fma reaches LLVM as `fmuladd`, which may round once or twice; here every one of them becomes the relaxed
 * multiply-add on four lanes. Returns the text of the module with the calls replaced.
 */
function relaxFma(text) {
  const features = /"target-features"="[^"]*"/.exec(text)?.[0] ?? '';
  const madd = '@llvm.wasm.relaxed.madd.v4f32';
  const helpers = [];
  let out = text.replace(/^declare .*@llvm\.(fmuladd|wasm\.relaxed\.madd)\..*\n/gm, '');
  for (const [type, width] of Object.entries(WIDTHS)) {
    if (!out.includes(`@llvm.fmuladd.${type}(`)) continue;
    const name = width === 4 ? madd : `@q_fma_${type}`;
    out = out.replaceAll(`@llvm.fmuladd.${type}(`, `${name}(`);
    if (width !== 4) helpers.push(helper(name, width, madd));
  }
  if (!out.includes('@q_fma_') && !out.includes(madd)) return text;
  const left = /@llvm\.fmuladd\.\w+/.exec(out);
  if (left) throw new Error(`build-wasm: no relaxed form for ${left[0]}`);
  return [
    out,
    ...helpers,
    `declare <4 x float> ${madd}(<4 x float>, <4 x float>, <4 x float>)`,
    `attributes #9999 = { alwaysinline nounwind ${features} }`,
    '',
  ].join('\n');
}

function helper(name, width, madd) {
  const type = width === 1 ? 'float' : `<${width} x float>`;
  const lines = [`define internal ${type} ${name}(${type} %a, ${type} %b, ${type} %c) #9999 {`];
  const parts = [];
  for (let from = 0; from < width; from += 4) {
    for (const x of ['a', 'b', 'c']) {
      const lanes = [0, 1, 2, 3].map((lane) => (from + lane < width ? `i32 ${from + lane}` : 'i32 poison')).join(', ');
      lines.push(
        width === 1
          ? `  %${x}0 = insertelement <4 x float> poison, float %${x}, i32 0`
          : `  %${x}${from} = shufflevector ${type} %${x}, ${type} poison, <4 x i32> <${lanes}>`,
      );
    }
    lines.push(
      `  %s${from} = call <4 x float> ${madd}(<4 x float> %a${from}, <4 x float> %b${from}, <4 x float> %c${from})`,
    );
    parts.push({ value: `%s${from}`, lanes: 4 });
  }
  // Neighbours are joined until one vector is left.
  for (let round = 0; parts.length > 1; round++) {
    for (let i = 0; i < parts.length; i++) {
      const [one, two] = parts.splice(i, 2);
      const lanes = Array.from({ length: 2 * one.lanes }, (_, lane) => `i32 ${lane}`).join(', ');
      const value = `%j${round}_${i}`;
      const half = `<${one.lanes} x float>`;
      lines.push(
        `  ${value} = shufflevector ${half} ${one.value}, ${half} ${two.value}, <${2 * one.lanes} x i32> <${lanes}>`,
      );
      parts.splice(i, 0, { value, lanes: 2 * one.lanes });
    }
  }
  const sum = parts[0].value;
  if (width === 1) lines.push(`  %r = extractelement <4 x float> ${sum}, i32 0`, '  ret float %r', '}');
  else if (width === 2) {
    lines.push(
      `  %r = shufflevector <4 x float> ${sum}, <4 x float> poison, <2 x i32> <i32 0, i32 1>`,
      `  ret ${type} %r`,
      '}',
    );
  } else lines.push(`  ret ${type} ${sum}`, '}');
  return lines.join('\n');
}

/**
 * Compiles both modules into `folder`.
 * @throws Error when clang is missing or a source does not compile.
 */
async function buildWasm(folder = SHIPPED) {
  const clang = findClang();
  if (!clang)
    throw new Error(
      `no clang >= ${OLDEST} with wasm-ld found (Debian: apt-get install clang-${CLANG_MAJOR} lld-${CLANG_MAJOR})`,
    );
  mkdirSync(folder, { recursive: true });
  const work = mkdtempSync(join(tmpdir(), 'quasar-wasm-'));
  const run = (program, args) =>
    new Promise((resolve, reject) => {
      const child = spawn(program, args, { cwd: root, stdio: ['ignore', 'inherit', 'inherit'] });
      child.on('error', reject);
      child.on('exit', (code) =>
        code === 0 ? resolve() : reject(new Error(`${program} ${args.join(' ')}: exit ${code}`)),
      );
    });
  const sources = [
    ...readdirSync(join(root, 'kernels'))
      .filter((file) => file.endsWith('.c') && !['addon.c', 'pool.c'].includes(file))
      .map((file) => `kernels/${file}`),
    'wasm/module.c',
    'wasm/pool.c',
  ].sort();
  const common = [...COMPILE, '-Ikernels', '-Iwasm/include'];

  async function plain(source, output) {
    await run(clang.name, [...common, '-c', source, '-o', output]);
  }
  async function relaxed(source, output) {
    const text = `${output}.ll`;
    await run(clang.name, [...common, '-mrelaxed-simd', '-S', '-emit-llvm', source, '-o', text]);
    writeFileSync(text, relaxFma(readFileSync(text, 'utf8')));
    await run(clang.name, ['--target=wasm32', '-O3', '-Wno-override-module', '-c', text, '-o', output]);
  }
  try {
    const jobs = MODULES.flatMap((module, i) =>
      sources.map((source) => ({
        module,
        compile: i === 0 ? plain : relaxed,
        source,
        output: join(work, `${module}-${source.replace('/', '-')}.o`),
      })),
    );
    const queue = [...jobs];
    const lane = async () => {
      for (let job = queue.shift(); job; job = queue.shift()) await job.compile(job.source, job.output);
    };
    await Promise.all(Array.from({ length: availableParallelism() }, lane));
    for (const module of MODULES) {
      const objects = jobs.filter((job) => job.module === module).map((job) => job.output);
      await run(clang.linker, [...LINK, ...objects, '-o', join(work, module)]);
    }
    for (const module of MODULES) writeFileSync(join(folder, module), readFileSync(join(work, module)));
  } finally {
    rmSync(work, { recursive: true, force: true });
  }
  return clang;
}

try {
  const clang = await buildWasm(process.argv[2]);
  console.error(`wasm: compiled with clang ${clang.major}`);
} catch (error) {
  console.error(`wasm: ${error.message}`);
  process.exitCode = 1;
}
