/**
 * @file Questions at the terminal: secrets without an echo, and a yes before something is paid. Questions go to stderr.
 * Where standard input is no terminal, each question takes its next line, so that a script can answer.
 */
import { createInterface } from 'node:readline/promises';
import { QuasarError } from '@quasar/base';

const MAX_ANSWER_CHARACTERS = 4096;
const MAX_INPUT_BYTES = 65_536;

const [CTRL_C, CTRL_D, BACKSPACE, DELETE] = ['\x03', '\x04', '\b', '\x7f'];

let piped: Promise<string[]> | null = null;

/** A secret, trimmed as the reference trims it. @throws usage.no_answer, usage.cancelled */
export async function askHidden(question: string): Promise<string> {
  if (!process.stdin.isTTY) return nextLine(question);
  try {
    return (await readHidden(question)).trim();
  } finally {
    process.stderr.write('\n');
  }
}

/** A secret that is being chosen: asked twice at a terminal. @throws usage.answers_differ */
export async function askNewSecret(question: string): Promise<string> {
  const secret = await askHidden(question);
  if (process.stdin.isTTY && (await askHidden('the same again: ')) !== secret) {
    throw new QuasarError('usage.answers_differ', 'the two answers differ', { hint: 'nothing was written; try again' });
  }
  return secret;
}

/** Whether the answer was a plain yes. @throws usage.confirmation_wanted without a terminal */
export async function confirm(question: string): Promise<boolean> {
  if (!process.stdin.isTTY) {
    throw new QuasarError('usage.confirmation_wanted', 'this wants a yes, and standard input is no terminal', {
      hint: 'look at it with --dry-run, then give --yes; nothing was signed',
    });
  }
  const terminal = createInterface({ input: process.stdin, output: process.stderr });
  try {
    return /^y(es)?$/i.test((await terminal.question(`${question} [y/N] `)).trim());
  } finally {
    terminal.close();
  }
}

function readHidden(question: string): Promise<string> {
  const { stdin } = process;
  return new Promise((resolve, reject) => {
    let answer = '';
    const finish = (error: QuasarError | null) => {
      stdin.off('data', take);
      stdin.setRawMode(false);
      stdin.pause();
      if (error === null) resolve(answer);
      else reject(error);
    };
    const take = (text: string) => {
      for (const character of text) {
        if (character === '\r' || character === '\n') return finish(null);
        if (character === CTRL_C || character === CTRL_D) return finish(cancelled());
        if (character === BACKSPACE || character === DELETE) answer = [...answer].slice(0, -1).join('');
        else if (answer.length < MAX_ANSWER_CHARACTERS) answer += character;
      }
    };
    // Before the question: from its first letter on an answer must not be echoed.
    stdin.setRawMode(true);
    stdin.setEncoding('utf8').on('data', take).resume();
    process.stderr.write(question);
  });
}

async function nextLine(question: string): Promise<string> {
  piped ??= readPiped();
  const line = (await piped).shift();
  if (line !== undefined && line.trim() !== '') return line.trim();
  throw new QuasarError('usage.no_answer', `no answer to "${question.trim()}" on standard input`, {
    hint: 'run it in a terminal, or pipe one line per question',
  });
}

async function readPiped(): Promise<string[]> {
  const chunks: Buffer[] = [];
  let size = 0;
  for await (const chunk of process.stdin) {
    size += chunk.length;
    if (size > MAX_INPUT_BYTES) {
      throw new QuasarError('usage.no_answer', `more than ${MAX_INPUT_BYTES} bytes on standard input`, {
        hint: 'pipe one line per question',
      });
    }
    chunks.push(chunk);
  }
  return Buffer.concat(chunks).toString('utf8').split(/\r?\n/);
}

function cancelled(): QuasarError {
  return new QuasarError('usage.cancelled', 'cancelled', { hint: 'nothing was written or signed' });
}
