/**
 * @file An interpreter for the programs of the world: a subset of Python with integers only.
 *
 *     line  = name = sum | name += sum | print(sum) | if test: | else: | for name in range(sum):
 *     test  = sum (< | > | ==) sum          sum = term ((+ | -) term)*
 *     term  = atom (* atom)*                atom = number | name | ( sum )
 *
 * Blocks are indented by two spaces per depth. Left out: everything else; a program outside the subset is an error.
 */
import { QuasarError } from '@quasar/base';

/** A program that runs longer than this many lines is refused. */
const MAX_STEPS = 10_000;

interface Line {
  depth: number;
  text: string;
  number: number;
}

/** Output of `print` calls, one per line. @throws QuasarError `world.program` outside the subset or too long. */
export function runProgram(source: string): string {
  const lines = source.split('\n').map((text, i): Line => {
    const indent = text.length - text.trimStart().length;
    return { depth: indent / 2, text: text.trim(), number: i + 1 };
  });
  const run = new Run(lines);
  run.block(0, lines.length, 0);
  return run.output.join('\n');
}

function fail(line: Line, what: string): never {
  throw new QuasarError('world.program', `program line ${line.number}: ${what}: ${JSON.stringify(line.text)}`, {
    hint: 'only the subset described in packages/world/src/interpreter.ts runs',
  });
}

class Run {
  readonly output: string[] = [];
  readonly #lines: readonly Line[];
  readonly #values = new Map<string, number>();
  #steps = 0;

  constructor(lines: readonly Line[]) {
    this.#lines = lines;
  }

  /** Lines `from` up to `to`, exclusive: statements at one depth, each with the deeper lines below it. */
  block(from: number, to: number, depth: number): void {
    for (let at = from; at < to; ) {
      if (this.#lines[at]!.depth !== depth) fail(this.#lines[at]!, 'wrong indent');
      at = this.#statement(at, to);
    }
  }

  /** Runs the statement at `at` with the block below it; returns the index of the next one. */
  #statement(at: number, to: number): number {
    const line = this.#lines[at]!;
    if (++this.#steps > MAX_STEPS) fail(line, 'too many steps');
    const end = this.#endOfBlock(at, to);
    const assign = /^([a-z]+) (\+?)= (.+)$/.exec(line.text);
    const print = /^print\((.+)\)$/.exec(line.text);
    const loop = /^for ([a-z]+) in range\((.+)\):$/.exec(line.text);
    const test = /^if (.+):$/.exec(line.text);
    if (loop || test ? end === at + 1 : end !== at + 1) fail(line, 'wrong block below');
    if (assign) {
      const before = assign[2] ? this.#value(assign[1]!, line) : 0;
      this.#values.set(assign[1]!, before + this.#sum(assign[3]!, line));
    } else if (print) this.output.push(String(this.#sum(print[1]!, line)));
    else if (loop) {
      const count = this.#sum(loop[2]!, line);
      for (let i = 0; i < count; i++) {
        this.#values.set(loop[1]!, i);
        this.block(at + 1, end, line.depth + 1);
      }
    } else if (test) return this.#branch(at, end, to, this.#test(test[1]!, line));
    else fail(line, 'unknown statement');
    return end;
  }

  /** The block of an `if` that starts below `at`, or that of the `else` at `end`. */
  #branch(at: number, end: number, to: number, isTrue: boolean): number {
    const next = this.#lines[end];
    const hasElse = end < to && next?.text === 'else:' && next.depth === this.#lines[at]!.depth;
    const elseEnd = hasElse ? this.#endOfBlock(end, to) : end;
    const depth = this.#lines[at]!.depth + 1;
    if (isTrue) this.block(at + 1, end, depth);
    else if (hasElse) this.block(end + 1, elseEnd, depth);
    return elseEnd;
  }

  #endOfBlock(at: number, to: number): number {
    let end = at + 1;
    while (end < to && this.#lines[end]!.depth > this.#lines[at]!.depth) end++;
    return end;
  }

  #value(name: string, line: Line): number {
    return this.#values.get(name) ?? fail(line, `no value for ${name}`);
  }

  #test(text: string, line: Line): boolean {
    const parts = /^(.+) (<|>|==) (.+)$/.exec(text) ?? fail(line, 'not a comparison');
    const [left, right] = [this.#sum(parts[1]!, line), this.#sum(parts[3]!, line)];
    return parts[2] === '<' ? left < right : parts[2] === '>' ? left > right : left === right;
  }

  #sum(text: string, line: Line): number {
    const tokens = text.match(/\d+|[a-z]+|[^\s]/g) ?? [];
    let at = 0;
    const atom = (): number => {
      const token = tokens[at++] ?? fail(line, 'an expression ends early');
      if (/^\d+$/.test(token)) return Number(token);
      if (/^[a-z]+$/.test(token)) return this.#value(token, line);
      if (token !== '(') return fail(line, `unexpected ${token}`);
      const value = sum();
      if (tokens[at++] !== ')') fail(line, 'a bracket is open');
      return value;
    };
    const term = (): number => {
      let value = atom();
      while (tokens[at] === '*') {
        at++;
        value *= atom();
      }
      return value;
    };
    const sum = (): number => {
      let value = term();
      while (tokens[at] === '+' || tokens[at] === '-') value += tokens[at++] === '+' ? term() : -term();
      return value;
    };
    const value = sum();
    return at === tokens.length ? value : fail(line, `unexpected ${tokens[at]}`);
  }
}
