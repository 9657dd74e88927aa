/** @file `quasar chat` with a shipped model: messages come in on standard input, answers go out as they are made. */
import { join } from 'node:path';
import { expect, it } from 'vitest';
import { QUASAR, REPOSITORY } from './support/paths.ts';
import { run } from './support/run.ts';

const TEACHER = join(REPOSITORY, 'assets/teacher');
const chat = (input: string, ...args: string[]) => run(process.execPath, [QUASAR, 'chat', ...args], { input });

it('answers line by line with the turns before in mind, and goes on with plain text', async () => {
  const input = 'What is 2 + 3?\n\nWhat is 4 + 4?\n';
  const [talked, plain] = await Promise.all([
    chat(input, TEACHER, '--temperature', '0', '--json'),
    chat('one two', TEACHER, '--plain', '--max-tokens', '4', '--quiet'),
  ]);
  expect({ code: talked.code, stderr: talked.stderr }).toEqual({ code: 0, stderr: '' });
  const { turns } = JSON.parse(talked.stdout) as { turns: { prompt: string; answer: string }[] };
  expect(turns.map(({ prompt }) => prompt)).toEqual(['What is 2 + 3?', 'What is 4 + 4?']);
  for (const { answer } of turns) expect(answer).not.toBe('');
  expect(plain.code).toBe(0);
  expect(plain.stdout.trim()).not.toBe('');
});

it('refuses a folder without a checkpoint', async () => {
  const { code, stderr } = await chat('', REPOSITORY);
  expect(code).not.toBe(0);
  expect(stderr).toContain('checkpoint.');
});
