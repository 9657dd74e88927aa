/** @file The parsed program. Every node knows its line. */

export type Expression = { line: number } & (
  | { kind: 'value'; value: number | boolean | string | null }
  | { kind: 'name'; name: string }
  | { kind: 'list'; items: Expression[]; isTuple: boolean }
  | { kind: 'comprehension'; item: Expression; target: Expression; over: Expression; condition: Expression | null }
  | { kind: 'unary'; sign: '-' | 'not'; operand: Expression }
  | { kind: 'binary'; sign: string; left: Expression; right: Expression }
  | { kind: 'logic'; sign: 'and' | 'or'; left: Expression; right: Expression }
  /** a < b < c: each neighbour pair holds. */
  | { kind: 'compare'; first: Expression; rest: { sign: string; operand: Expression }[] }
  | { kind: 'choice'; condition: Expression; yes: Expression; no: Expression }
  | { kind: 'index'; of: Expression; at: Expression }
  | { kind: 'slice'; of: Expression; from: Expression | null; to: Expression | null; by: Expression | null }
  | { kind: 'call'; name: string; args: Expression[] }
  | { kind: 'method'; of: Expression; name: string; args: Expression[] }
);

export type Statement = { line: number } & (
  | { kind: 'expression'; value: Expression }
  | { kind: 'assign'; target: Expression; value: Expression }
  | { kind: 'change'; target: Expression; sign: string; value: Expression }
  | { kind: 'if'; condition: Expression; yes: Statement[]; no: Statement[] }
  | { kind: 'while'; condition: Expression; body: Statement[] }
  | { kind: 'for'; target: Expression; over: Expression; body: Statement[] }
  | { kind: 'def'; name: string; parameters: string[]; body: Statement[] }
  | { kind: 'return'; value: Expression | null }
  | { kind: 'break' | 'continue' | 'pass' }
);
