import { readdirSync } from 'node:fs';
import { defineConfig } from 'vitest/config';

const source = (path: string) => new URL(`./packages/${path}`, import.meta.url).pathname;
// The longer name first: an alias also takes names that go on after it.
const alias = {
  '@quasar/store/testing': source('store/src/queue/testing/index.ts'),
  ...Object.fromEntries(
    readdirSync(new URL('./packages', import.meta.url)).map((name) => [
      `@quasar/${name}`,
      source(`${name}/src/index.ts`),
    ]),
  ),
};

/** They share one running net, whose first king takes minutes of training: one after the other, when nothing else runs. */
const NET_TESTS = ['chat', 'check', 'kill', 'own-text', 'replay', 'up'].map((name) => `e2e/${name}.test.ts`);

export default defineConfig({
  resolve: { alias },
  test: {
    testTimeout: 30_000,
    projects: [
      {
        extends: true,
        test: {
          name: 'unit',
          include: ['packages/*/src/**/*.test.ts', 'tests/**/*.test.ts'],
          exclude: ['**/*.slow.test.ts'],
          pool: 'threads',
        },
      },
      {
        extends: true,
        test: {
          name: 'net',
          include: NET_TESTS,
          globalSetup: ['e2e/support/shared-home.ts'],
          testTimeout: 300_000,
          hookTimeout: 120_000,
          fileParallelism: false,
          sequence: { groupOrder: 2 },
        },
      },
      {
        extends: true,
        test: {
          name: 'e2e',
          include: ['e2e/**/*.test.ts'],
          exclude: ['e2e/**/*.slow.test.ts', ...NET_TESTS],
          testTimeout: 300_000,
          hookTimeout: 120_000,
          maxWorkers: 2,
          sequence: { groupOrder: 1 },
        },
      },
      {
        extends: true,
        test: {
          name: 'conformance',
          include: ['conformance/**/*.test.ts'],
          globalSetup: ['conformance/support/start.ts'],
          testTimeout: 300_000,
          hookTimeout: 300_000,
          maxWorkers: 2,
          sequence: { groupOrder: 4 },
        },
      },
      {
        extends: true,
        test: {
          name: 'slow',
          include: ['{e2e,packages/*/src}/**/*.slow.test.ts'],
          testTimeout: 1_800_000,
          fileParallelism: false,
          sequence: { groupOrder: 3 },
        },
      },
    ],
  },
});
