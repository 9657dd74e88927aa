/** @file The shipped modules are, byte for byte, what the sources compile to. Needs clang and lld of the version that built them. */
import { execFile } from 'node:child_process';
import { existsSync, mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { expect, it } from 'vitest';

const PACKAGE = fileURLToPath(new URL('../../../', import.meta.url));
/** What scripts/build-wasm.js calls CLANG_MAJOR. */
const CLANG = /CLANG_MAJOR = (\d+)/.exec(readFileSync(join(PACKAGE, 'scripts/build-wasm.js'), 'utf8'))?.[1];

it('the shipped modules are what the sources compile to', async (context) => {
  const isShipped = existsSync(join(PACKAGE, 'wasm/quasar.wasm'));
  if (!isShipped && !process.env.CI) context.skip('no modules here: node packages/tensor/scripts/build-wasm.js');
  const folder = mkdtempSync(join(tmpdir(), 'quasar-wasm-check-'));
  try {
    const said = await new Promise<string>((resolve) =>
      execFile(process.execPath, [join(PACKAGE, 'scripts/build-wasm.js'), folder], (_, _stdout, stderr) =>
        resolve(stderr),
      ),
    );
    const hasClang = said.includes(`compiled with clang ${CLANG}`);
    if (!hasClang && !process.env.CI) context.skip(`needs clang-${CLANG} and lld-${CLANG}: ${said.split('\n')[0]}`);
    expect(hasClang, said).toBe(true);
    for (const file of ['quasar.wasm', 'quasar-relaxed.wasm']) {
      const isSame = readFileSync(join(folder, file)).equals(readFileSync(join(PACKAGE, 'wasm', file)));
      expect(isSame, `${file} is old: run node packages/tensor/scripts/build-wasm.js and commit it`).toBe(true);
    }
  } finally {
    rmSync(folder, { recursive: true, force: true });
  }
}, 180_000);
