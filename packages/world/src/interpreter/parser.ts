/** @file Lines of tokens into statements: recursive descent, no deeper than `MAX_NESTING`. */
import type { Expression, Statement } from './ast.ts';
import type { Line, Token } from './lexer.ts';
import { fail, MAX_NESTING } from './limits.ts';

const END: Token = { kind: 'end', text: '' };
const COMPARISONS = ['<', '>', '<=', '>=', '==', '!='];
const CHANGES: Record<string, string> = { '+=': '+', '-=': '-', '*=': '*', '//=': '//', '%=': '%' };

/** @throws QuasarError `world.program` */
export function parseProgram(lines: readonly Line[]): Statement[] {
  const parser = new Parser(lines);
  return parser.program();
}

class Parser {
  readonly #lines: readonly Line[];
  /** The line that is read, and the token in it. */
  #row = 0;
  #at = 0;
  #nesting = 0;
  #loops = 0;
  #isInFunction = false;

  constructor(lines: readonly Line[]) {
    this.#lines = lines;
  }

  program(): Statement[] {
    const [first] = this.#lines;
    if (!first) return [];
    if (first.indent !== 0) fail(first.number, 'wrong indent');
    return this.#block(0);
  }

  /** Statements at one indent, up to a line with less. */
  #block(indent: number): Statement[] {
    const statements: Statement[] = [];
    for (let line = this.#lines[this.#row]; line && line.indent >= indent; line = this.#lines[this.#row]) {
      if (line.indent !== indent) fail(line.number, 'wrong indent');
      statements.push(this.#nested(() => this.#statement(line)));
    }
    return statements;
  }

  /** The deeper lines below a head that ends in a colon, or the one statement behind the colon. */
  #body(head: Line): Statement[] {
    this.#expect(':');
    if (this.#peek().kind !== 'end') {
      const statement = this.#simple(head);
      this.#endLine();
      return [statement];
    }
    this.#endLine();
    const below = this.#lines[this.#row];
    if (!below || below.indent <= head.indent) fail(head.number, 'no block below');
    return this.#nested(() => this.#block(below.indent));
  }

  #statement(head: Line): Statement {
    const line = head.number;
    if (this.#take('if')) return this.#branch(head);
    if (this.#take('while')) {
      const condition = this.#expression();
      return { kind: 'while', line, condition, body: this.#loop(head) };
    }
    if (this.#take('for')) {
      const target = this.#targets();
      this.#expect('in');
      const over = this.#expressions();
      return { kind: 'for', line, target, over, body: this.#loop(head) };
    }
    if (this.#take('def')) return this.#definition(head);
    const statement = this.#simple(head);
    this.#endLine();
    return statement;
  }

  #branch(head: Line): Statement {
    const line = head.number;
    const condition = this.#expression();
    const yes = this.#body(head);
    const next = this.#lines[this.#row];
    if (!next || next.indent !== head.indent) return { kind: 'if', line, condition, yes, no: [] };
    if (this.#take('elif')) return { kind: 'if', line, condition, yes, no: [this.#nested(() => this.#branch(next))] };
    if (this.#take('else')) return { kind: 'if', line, condition, yes, no: this.#body(next) };
    return { kind: 'if', line, condition, yes, no: [] };
  }

  #loop(head: Line): Statement[] {
    this.#loops++;
    const body = this.#body(head);
    this.#loops--;
    return body;
  }

  #definition(head: Line): Statement {
    const line = head.number;
    if (this.#isInFunction || head.indent > 0) fail(line, 'functions are defined at the outermost level only');
    const name = this.#name();
    const parameters: string[] = [];
    this.#expect('(');
    while (!this.#take(')')) {
      parameters.push(this.#name());
      if (this.#peek().text !== ')') this.#expect(',');
    }
    if (new Set(parameters).size !== parameters.length) fail(line, 'a parameter is named twice');
    this.#isInFunction = true;
    const body = this.#body(head);
    this.#isInFunction = false;
    return { kind: 'def', line, name, parameters, body };
  }

  /** A statement without a block. */
  #simple({ number: line }: Line): Statement {
    for (const kind of ['break', 'continue'] as const) {
      if (!this.#take(kind)) continue;
      if (this.#loops === 0) fail(line, `${kind} outside of a loop`);
      return { kind, line };
    }
    if (this.#take('pass')) return { kind: 'pass', line };
    if (this.#take('return')) {
      if (!this.#isInFunction) fail(line, 'return outside of a function');
      return { kind: 'return', line, value: this.#peek().kind === 'end' ? null : this.#expressions() };
    }
    const left = this.#expressions();
    if (this.#take('=')) {
      this.#checkTarget(left);
      return { kind: 'assign', line, target: left, value: this.#expressions() };
    }
    const sign = CHANGES[this.#peek().text];
    if (sign === undefined || this.#peek().kind !== 'sign') return { kind: 'expression', line, value: left };
    this.#at++;
    this.#checkTarget(left);
    if (left.kind === 'list') fail(line, 'cannot change several at once');
    return { kind: 'change', line, target: left, sign, value: this.#expressions() };
  }

  #checkTarget(target: Expression): void {
    if (target.kind === 'list' && target.items.length > 0) for (const item of target.items) this.#checkTarget(item);
    else if (target.kind !== 'name' && target.kind !== 'index') fail(target.line, 'cannot assign to this');
  }

  #targets(): Expression {
    const { line } = this;
    const items: Expression[] = [];
    do items.push({ kind: 'name', line, name: this.#name() });
    while (this.#take(','));
    return items.length === 1 ? items[0]! : { kind: 'list', line, items, isTuple: true };
  }

  /** One expression, or several with commas between: a tuple. */
  #expressions(): Expression {
    const { line } = this;
    const first = this.#expression();
    if (this.#peek().text !== ',' || this.#peek().kind !== 'sign') return first;
    const items = [first];
    while (this.#take(',')) {
      if (this.#isAtEnd()) break;
      items.push(this.#expression());
    }
    return { kind: 'list', line, items, isTuple: true };
  }

  #isAtEnd(): boolean {
    const { kind, text } = this.#peek();
    return kind === 'end' || (kind === 'sign' && [')', ']', '=', ':'].includes(text));
  }

  #expression(): Expression {
    return this.#nested(() => {
      const { line } = this;
      const yes = this.#or();
      if (!this.#take('if')) return yes;
      const condition = this.#or();
      this.#expect('else');
      return { kind: 'choice', line, condition, yes, no: this.#expression() };
    });
  }

  #or(): Expression {
    let left = this.#and();
    while (this.#take('or')) left = { kind: 'logic', line: this.line, sign: 'or', left, right: this.#and() };
    return left;
  }

  #and(): Expression {
    let left = this.#not();
    while (this.#take('and')) left = { kind: 'logic', line: this.line, sign: 'and', left, right: this.#not() };
    return left;
  }

  #not(): Expression {
    const { line } = this;
    if (!this.#take('not')) return this.#comparison();
    return { kind: 'unary', line, sign: 'not', operand: this.#nested(() => this.#not()) };
  }

  #comparison(): Expression {
    const { line } = this;
    const first = this.#sum();
    const rest: { sign: string; operand: Expression }[] = [];
    for (let sign = this.#comparisonSign(); sign !== null; sign = this.#comparisonSign())
      rest.push({ sign, operand: this.#sum() });
    return rest.length === 0 ? first : { kind: 'compare', line, first, rest };
  }

  #comparisonSign(): string | null {
    const { kind, text } = this.#peek();
    if (kind === 'sign' && COMPARISONS.includes(text)) {
      this.#at++;
      return text;
    }
    if (this.#take('in')) return 'in';
    if (!this.#take('not')) return null;
    this.#expect('in');
    return 'not in';
  }

  #sum(): Expression {
    return this.#binary(['+', '-'], () => this.#term());
  }

  #term(): Expression {
    return this.#binary(['*', '//', '%'], () => this.#factor());
  }

  #binary(signs: readonly string[], operand: () => Expression): Expression {
    let left = operand();
    for (let token = this.#peek(); token.kind === 'sign' && signs.includes(token.text); token = this.#peek()) {
      this.#at++;
      left = { kind: 'binary', line: this.line, sign: token.text, left, right: operand() };
    }
    return left;
  }

  #factor(): Expression {
    const { line } = this;
    if (this.#take('-')) return { kind: 'unary', line, sign: '-', operand: this.#nested(() => this.#factor()) };
    const base = this.#postfix();
    if (!this.#take('**')) return base;
    return { kind: 'binary', line, sign: '**', left: base, right: this.#nested(() => this.#factor()) };
  }

  #postfix(): Expression {
    let value = this.#atom();
    for (;;) {
      const { line } = this;
      if (this.#take('[')) value = this.#subscript(value);
      else if (this.#take('.')) {
        const name = this.#name();
        this.#expect('(');
        value = { kind: 'method', line, of: value, name, args: this.#arguments() };
      } else return value;
    }
  }

  #subscript(of: Expression): Expression {
    const { line } = this;
    const part = () => (this.#isAtEnd() ? null : this.#expression());
    const from = part();
    if (!this.#take(':')) {
      this.#expect(']');
      return from ? { kind: 'index', line, of, at: from } : fail(line, 'an expression ends early');
    }
    const to = part();
    const by = this.#take(':') ? part() : null;
    this.#expect(']');
    return { kind: 'slice', line, of, from, to, by };
  }

  #atom(): Expression {
    const { line } = this;
    const { kind, text } = this.#peek();
    if (kind === 'end') fail(line, 'an expression ends early');
    this.#at++;
    if (kind === 'number') return { kind: 'value', line, value: Number(text) };
    if (kind === 'string') return { kind: 'value', line, value: text };
    if (kind === 'keyword') {
      if (text === 'True' || text === 'False') return { kind: 'value', line, value: text === 'True' };
      if (text === 'None') return { kind: 'value', line, value: null };
    }
    if (kind === 'name')
      return this.#take('(')
        ? { kind: 'call', line, name: text, args: this.#arguments() }
        : { kind: 'name', line, name: text };
    if (kind === 'sign' && text === '(') return this.#bracket(')', true);
    if (kind === 'sign' && text === '[') return this.#bracket(']', false);
    return fail(line, `unexpected ${text}`);
  }

  /** What follows an opening bracket: a list, a comprehension, a tuple or an expression in parentheses. */
  #bracket(close: ')' | ']', isTuple: boolean): Expression {
    const { line } = this;
    if (this.#take(close)) return { kind: 'list', line, items: [], isTuple };
    const first = this.#expression();
    if (this.#peek().text === 'for') return this.#comprehension(first, close);
    const items = [first];
    let hasComma = false;
    while (this.#take(',')) {
      hasComma = true;
      if (this.#peek().text === close) break;
      items.push(this.#expression());
    }
    this.#expect(close);
    return isTuple && !hasComma ? first : { kind: 'list', line, items, isTuple };
  }

  #comprehension(item: Expression, close: ')' | ']'): Expression {
    const { line } = this;
    this.#expect('for');
    const target = this.#targets();
    this.#expect('in');
    const over = this.#or();
    const condition = this.#take('if') ? this.#or() : null;
    this.#expect(close);
    return { kind: 'comprehension', line, item, target, over, condition };
  }

  #arguments(): Expression[] {
    const args: Expression[] = [];
    while (!this.#take(')')) {
      const arg = this.#expression();
      if (args.length === 0 && this.#peek().text === 'for') return [this.#comprehension(arg, ')')];
      args.push(arg);
      if (this.#peek().text !== ')') this.#expect(',');
    }
    return args;
  }

  #name(): string {
    const { kind, text } = this.#peek();
    if (kind !== 'name') fail(this.line, `expected a name, got ${text || 'the end of the line'}`);
    this.#at++;
    return text;
  }

  #peek(): Token {
    return this.#lines[this.#row]?.tokens[this.#at] ?? END;
  }

  #take(text: string): boolean {
    const token = this.#peek();
    if (token.text !== text || (token.kind !== 'sign' && token.kind !== 'keyword')) return false;
    this.#at++;
    return true;
  }

  #expect(text: string): void {
    if (!this.#take(text)) fail(this.line, `expected ${text}, got ${this.#peek().text || 'the end of the line'}`);
  }

  #endLine(): void {
    if (this.#peek().kind !== 'end') fail(this.line, `unexpected ${this.#peek().text}`);
    this.#row++;
    this.#at = 0;
  }

  #nested<T>(inner: () => T): T {
    if (++this.#nesting > MAX_NESTING) fail(this.line, 'nested too deeply');
    const value = inner();
    this.#nesting--;
    return value;
  }

  private get line(): number {
    return (this.#lines[this.#row] ?? this.#lines.at(-1))?.number ?? 1;
  }
}
