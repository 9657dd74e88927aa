#!/usr/bin/env node
/** @file The `quasar` command. Committed as plain JavaScript so that npm can link it before anything is compiled. */
import { existsSync } from 'node:fs';

const compiled = new URL('../dist/main.js', import.meta.url);
if (existsSync(compiled)) {
  const { main } = await import(compiled.href);
  await main(process.argv.slice(2));
} else {
  process.stderr.write('quasar: not built yet: run `npm start` or `npm test` once in the repository root\n');
  process.exitCode = 2;
}
