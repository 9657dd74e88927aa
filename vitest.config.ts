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
          name: 'e2e',
          include: ['e2e/**/*.test.ts'],
          exclude: ['e2e/**/*.slow.test.ts'],
          globalSetup: ['e2e/support/shared-home.ts'],
          testTimeout: 300_000,
          hookTimeout: 120_000,
          fileParallelism: false,
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
          sequence: { groupOrder: 3 },
        },
      },
      {
        extends: true,
        test: {
          name: 'slow',
          include: ['{e2e,packages/*/src}/**/*.slow.test.ts'],
          testTimeout: 1_800_000,
          fileParallelism: false,
          sequence: { groupOrder: 2 },
        },
      },
    ],
  },
});
