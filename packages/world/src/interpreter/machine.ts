/** @file Runs parsed statements. Every evaluation is charged to the meter; nothing reaches the host. */
import { binary, checked, place, slice } from './arithmetic.ts';
import type { Expression, Statement } from './ast.ts';
import { callBuiltin, isBuiltin } from './builtins.ts';
import { callMethod } from './methods.ts';
import {
  compare,
  elements,
  equal,
  isTrue,
  ListValue,
  lengthOf,
  type Meter,
  RangeValue,
  show,
  toInteger,
  typeName,
  type Value,
} from './values.ts';

type Definition = Extract<Statement, { kind: 'def' }>;

/** Names of a function call, or of the program. */
type Scope = Map<string, Value>;

/** How a block ended, when it did not run to its end. */
type Exit = { kind: 'break' | 'continue' } | { kind: 'return'; value: Value } | null;

export class Machine {
  readonly output: string[] = [];
  readonly #meter: Meter;
  readonly #globals: Scope = new Map();
  readonly #functions = new Map<string, Definition>();
  #scope: Scope = this.#globals;

  constructor(meter: Meter) {
    this.#meter = meter;
  }

  /** @throws QuasarError `world.program` */
  run(statements: readonly Statement[]): void {
    this.#block(statements);
  }

  /** @throws QuasarError `world.program` */
  call(name: string, args: readonly Value[]): Value {
    const definition = this.#functions.get(name);
    if (!definition) return this.#meter.fail(`no function ${name}`);
    const { parameters, body } = definition;
    if (args.length !== parameters.length)
      this.#meter.fail(`${name} takes ${parameters.length} values, got ${args.length}`);
    const caller = this.#scope;
    this.#scope = new Map(parameters.map((parameter, i) => [parameter, args[i] ?? null]));
    const exit = this.#meter.call(() => this.#block(body));
    this.#scope = caller;
    return exit?.kind === 'return' ? exit.value : null;
  }

  #block(statements: readonly Statement[]): Exit {
    return this.#meter.within(() => {
      for (const statement of statements) {
        const exit = this.#statement(statement);
        if (exit) return exit;
      }
      return null;
    });
  }

  #statement(statement: Statement): Exit {
    const meter = this.#meter;
    meter.line = statement.line;
    meter.step();
    switch (statement.kind) {
      case 'expression':
        this.#evaluate(statement.value);
        return null;
      case 'assign':
        this.#assign(statement.target, this.#evaluate(statement.value));
        return null;
      case 'change': {
        const before = this.#evaluate(statement.target);
        const value = this.#evaluate(statement.value);
        // `+=` changes the list itself, so other names for it see it.
        if (statement.sign === '+' && before instanceof ListValue && !before.isTuple)
          callMethod(before, 'extend', [value], meter);
        else this.#assign(statement.target, binary(statement.sign, before, value, meter));
        return null;
      }
      case 'if':
        return this.#block(isTrue(this.#evaluate(statement.condition)) ? statement.yes : statement.no);
      case 'while':
        while (isTrue(this.#evaluate(statement.condition))) {
          meter.step();
          const exit = this.#block(statement.body);
          if (exit?.kind === 'return') return exit;
          if (exit?.kind === 'break') break;
        }
        return null;
      case 'for':
        for (const item of elements(this.#evaluate(statement.over), meter)) {
          this.#assign(statement.target, item);
          const exit = this.#block(statement.body);
          if (exit?.kind === 'return') return exit;
          if (exit?.kind === 'break') break;
        }
        return null;
      case 'def':
        this.#functions.set(statement.name, statement);
        return null;
      case 'return':
        return { kind: 'return', value: statement.value ? this.#evaluate(statement.value) : null };
      case 'break':
      case 'continue':
        return { kind: statement.kind };
      case 'pass':
        return null;
    }
  }

  #assign(target: Expression, value: Value): void {
    if (target.kind === 'name') {
      this.#scope.set(target.name, value);
    } else if (target.kind === 'index') {
      const list = this.#evaluate(target.of);
      if (!(list instanceof ListValue) || list.isTuple) this.#meter.fail(`cannot change ${typeName(list)}`);
      list.items[place(this.#evaluate(target.at), list.items.length, this.#meter)] = value;
    } else if (target.kind === 'list') {
      const parts = [...elements(value, this.#meter)];
      if (parts.length !== target.items.length)
        this.#meter.fail(`${target.items.length} names for ${parts.length} values`);
      for (const [i, item] of target.items.entries()) this.#assign(item, parts[i] ?? null);
    }
  }

  #evaluate(expression: Expression): Value {
    this.#meter.step();
    return this.#meter.within(() => this.#value(expression));
  }

  #value(expression: Expression): Value {
    const meter = this.#meter;
    switch (expression.kind) {
      case 'value':
        return expression.value;
      case 'name':
        return this.#name(expression.name);
      case 'list':
        meter.allocate(expression.items.length);
        return new ListValue(
          expression.items.map((item) => this.#evaluate(item)),
          expression.isTuple,
        );
      case 'comprehension':
        return this.#comprehension(expression);
      case 'unary': {
        const operand = this.#evaluate(expression.operand);
        return expression.sign === 'not' ? !isTrue(operand) : checked(-toInteger(operand, meter), meter);
      }
      case 'binary':
        return binary(expression.sign, this.#evaluate(expression.left), this.#evaluate(expression.right), meter);
      case 'logic': {
        const left = this.#evaluate(expression.left);
        return isTrue(left) === (expression.sign === 'or') ? left : this.#evaluate(expression.right);
      }
      case 'compare': {
        let left = this.#evaluate(expression.first);
        for (const { sign, operand } of expression.rest) {
          const right = this.#evaluate(operand);
          if (!this.#holds(sign, left, right)) return false;
          left = right;
        }
        return true;
      }
      case 'choice':
        return this.#evaluate(isTrue(this.#evaluate(expression.condition)) ? expression.yes : expression.no);
      case 'index': {
        const of = this.#evaluate(expression.of);
        const at = place(this.#evaluate(expression.at), lengthOf(of, meter), meter);
        if (of instanceof RangeValue) return of.from + at * of.by;
        return typeof of === 'string' ? of[at]! : (of as ListValue).items[at]!;
      }
      case 'slice': {
        const of = this.#evaluate(expression.of);
        const parts = [expression.from, expression.to, expression.by];
        return slice(
          of,
          parts.map((part) => part && this.#evaluate(part)),
          meter,
        );
      }
      case 'call':
        return this.#call(
          expression.name,
          expression.args.map((arg) => this.#evaluate(arg)),
        );
      case 'method': {
        const of = this.#evaluate(expression.of);
        return callMethod(
          of,
          expression.name,
          expression.args.map((arg) => this.#evaluate(arg)),
          meter,
        );
      }
    }
  }

  #name(name: string): Value {
    const value = this.#scope.get(name) ?? this.#globals.get(name);
    return value === undefined && !this.#scope.has(name) && !this.#globals.has(name)
      ? this.#meter.fail(`no value for ${name}`)
      : (value ?? null);
  }

  #call(name: string, args: Value[]): Value {
    if (this.#functions.has(name)) return this.call(name, args);
    if (name === 'print') {
      this.output.push(args.map((arg) => show(arg, this.#meter)).join(' '));
      this.#meter.allocate(1);
      return null;
    }
    return isBuiltin(name) ? callBuiltin(name, args, this.#meter) : this.#meter.fail(`no function ${name}`);
  }

  #comprehension({ item, target, over, condition }: Extract<Expression, { kind: 'comprehension' }>): Value {
    const walked = this.#evaluate(over);
    const outer = this.#scope;
    // Its names end with it, as in Python.
    this.#meter.allocate(outer.size);
    this.#scope = new Map(outer);
    const items: Value[] = [];
    for (const value of elements(walked, this.#meter)) {
      this.#assign(target, value);
      if (condition && !isTrue(this.#evaluate(condition))) continue;
      this.#meter.allocate(1);
      items.push(this.#evaluate(item));
    }
    this.#scope = outer;
    return new ListValue(items);
  }

  #holds(sign: string, a: Value, b: Value): boolean {
    const meter = this.#meter;
    if (sign === '==') return equal(a, b, meter);
    if (sign === '!=') return !equal(a, b, meter);
    if (sign === 'in' || sign === 'not in') return this.#contains(b, a) === (sign === 'in');
    const order = compare(a, b, meter);
    if (sign === '<') return order < 0;
    if (sign === '>') return order > 0;
    return sign === '<=' ? order <= 0 : order >= 0;
  }

  #contains(whole: Value, part: Value): boolean {
    if (typeof whole === 'string' && typeof part === 'string') {
      this.#meter.step(whole.length);
      return whole.includes(part);
    }
    for (const item of elements(whole, this.#meter)) if (equal(item, part, this.#meter)) return true;
    return false;
  }
}
