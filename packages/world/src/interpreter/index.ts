/**
 * @file A small interpreter for programs of the world and for programs that models write: a subset of Python.
 *
 * Values: integers within 2^53, booleans, strings, lists, tuples, None. Statements: assignment (to names, places and
 * several at once), `+= -= *= //= %=`, `if`/`elif`/`else`, `while`, `for`, `break`, `continue`, `pass`, functions at the
 * outermost level, `return`, `print`. Expressions: `+ - * // % **`, comparisons, `in`, `and`/`or`/`not`, `a if b else c`,
 * indices, slices, list comprehensions, the functions and methods of `builtins.ts`. Left out: `/`, `import`, dictionaries,
 * sets, classes, exceptions, keyword arguments, inner functions, lines that go on in the next line; a program that
 * uses them is an error.
 *
 * A program is data: there is no host function, name or attribute that it could reach. It ends after a fixed number of
 * steps, cells of memory and nested calls (`limits.ts`); all are counted, not timed, so that it ends at the same place on
 * every machine. Tests: `interpreter.test.ts`, among them programs at random.
 */
import { readLines } from './lexer.ts';
import { PROGRAM_LIMITS, type ProgramLimits } from './limits.ts';
import { Machine } from './machine.ts';
import { parseProgram } from './parser.ts';
import { ListValue, Meter, RangeValue, type Value } from './values.ts';

/** A value outside of the interpreter: tuples and ranges come out as arrays. */
export type PlainValue = number | boolean | string | null | PlainValue[];

/** Output of `print` calls, one per line. @throws QuasarError `world.program` outside the subset or over a limit */
export function runProgram(source: string, limits: ProgramLimits = PROGRAM_LIMITS): string {
  const machine = new Machine(new Meter(limits));
  machine.run(parseProgram(readLines(source)));
  return machine.output.join('\n');
}

/** Runs the program, then one of its functions. @throws QuasarError `world.program` as `runProgram`, or when it is not there */
export function callFunction(
  source: string,
  name: string,
  args: readonly PlainValue[],
  limits: ProgramLimits = PROGRAM_LIMITS,
): PlainValue {
  const meter = new Meter(limits);
  const machine = new Machine(meter);
  machine.run(parseProgram(readLines(source)));
  return toPlain(machine.call(name, args.map(fromPlain)), meter);
}

function fromPlain(value: PlainValue): Value {
  return Array.isArray(value) ? new ListValue(value.map(fromPlain)) : value;
}

/** Charged like a copy: a list that holds itself has no end. */
function toPlain(value: Value, meter: Meter): PlainValue {
  if (value instanceof RangeValue) return meter.fail('returns a range');
  if (!(value instanceof ListValue)) return value;
  meter.allocate(value.items.length + 1);
  return meter.within(() => value.items.map((item) => toPlain(item, meter)));
}
