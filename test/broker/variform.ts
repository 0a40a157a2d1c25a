/** EMQX's variform expressions, as far as identities need them (emqx_variform.erl): nested calls over strings and variables. */

import { compilePattern } from './pcre.ts';

type Node =
  | { kind: 'string'; text: string }
  | { kind: 'number'; value: number }
  | { kind: 'variable'; name: string }
  | { kind: 'call'; name: string; args: Node[] };
type Value = string | number | Value[] | undefined;

export class VariformError extends Error {}

export type Expression = (variables: Record<string, string | undefined>) => string | undefined;

/** Compiles; throws VariformError on bad syntax or an unknown function. The result is undefined where EMQX sets no attribute. */
export function compileExpression(source: string): Expression {
  const node = parse(source);
  return (variables) => {
    try {
      const value = evaluate(node, variables);
      return value === undefined || Array.isArray(value) ? undefined : String(value);
    } catch {
      return undefined; // EMQX logs a warning and goes on without the attribute
    }
  };
}

function parse(source: string): Node {
  const tokens = [
    ...source.matchAll(/'((?:[^'\\]|\\[\s\S])*)'|"((?:[^"\\]|\\[\s\S])*)"|(-?\d+(?:\.\d+)?)|([A-Za-z_][\w.]*)|([(),])|(\S)/g),
  ];
  let at = 0;
  const node = (): Node => {
    const token = tokens[at++];
    if (!token) throw new VariformError('syntax error before: ');
    // No escape is read inside the quotes: `\1` reaches the regular expression as it stands.
    const text = token[1] ?? token[2];
    if (text !== undefined) return { kind: 'string', text };
    if (token[3] !== undefined) return { kind: 'number', value: Number(token[3]) };
    if (token[4] === undefined) throw new VariformError(`syntax error before: ${token[0]}`);
    if (tokens[at]?.[0] !== '(') return { kind: 'variable', name: token[4] };
    if (!(token[4] in FUNCTIONS)) throw new VariformError(`unknown function ${token[4]}`);
    at++;
    const args: Node[] = [];
    while (tokens[at]?.[0] !== ')') {
      args.push(node());
      if (tokens[at]?.[0] === ',') at++;
      else if (tokens[at]?.[0] !== ')') throw new VariformError('syntax error in the arguments');
    }
    at++;
    return { kind: 'call', name: token[4], args };
  };
  const parsed = node();
  if (at < tokens.length) throw new VariformError(`syntax error before: ${tokens[at]?.[0]}`);
  return parsed;
}

function evaluate(node: Node, variables: Record<string, string | undefined>): Value {
  if (node.kind === 'string') return node.text;
  if (node.kind === 'number') return node.value;
  if (node.kind === 'variable') return variables[node.name];
  return FUNCTIONS[node.name]?.(node.args.map((arg) => () => evaluate(arg, variables)));
}

type Lazy = () => Value;

const FUNCTIONS: Record<string, (args: Lazy[]) => Value> = {
  nth: ([index, list]) => {
    const values = list?.();
    return Array.isArray(values) ? values[Number(index?.()) - 1] : undefined;
  },
  regex_extract: ([text, pattern]) => compilePattern(str(pattern?.())).capture(str(text?.())) ?? [],
  regex_match: ([text, pattern]) => String(compilePattern(str(pattern?.())).test(str(text?.()))),
  coalesce: (args) => {
    const found = args.length === 1 ? args[0]?.() : args.map((arg) => arg());
    return Array.isArray(found) ? found.find((value) => value !== undefined && value !== '') : found;
  },
  concat: (args) =>
    args
      .flatMap((arg) => arg())
      .map(str)
      .join(''),
  join_to_string: ([separator, list]) => [list?.()].flat().map(str).join(str(separator?.())),
  tokens: ([text, separator]) =>
    str(text?.())
      .split(str(separator?.()))
      .filter((part) => part !== ''),
  lower: ([text]) => str(text?.()).toLowerCase(),
  upper: ([text]) => str(text?.()).toUpperCase(),
  substr: ([text, from, length]) => {
    const start = Number(from?.());
    return length ? str(text?.()).slice(start, start + Number(length())) : str(text?.()).slice(start);
  },
  iif: ([when, yes, no]) => (['', 'false', 'undefined'].includes(str(when?.())) ? no?.() : yes?.()),
  str_eq: ([a, b]) => String(str(a?.()) === str(b?.())),
};

function str(value: Value): string {
  return value === undefined ? '' : Array.isArray(value) ? value.map(str).join('') : String(value);
}
