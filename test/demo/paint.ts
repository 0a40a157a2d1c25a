// Colours of the terminal (ECMA-48 SGR), or none.

export type Paint = Record<'bold' | 'dim' | 'red' | 'green' | 'yellow', (text: string) => string>;

const CODES = { bold: [1, 22], dim: [2, 22], red: [31, 39], green: [32, 39], yellow: [33, 39] } as const;

export function createPaint(colours: boolean): Paint {
  const paint = (name: keyof typeof CODES) => (text: string) =>
    colours && text !== '' ? `\u001b[${CODES[name][0]}m${text}\u001b[${CODES[name][1]}m` : text;
  return { bold: paint('bold'), dim: paint('dim'), red: paint('red'), green: paint('green'), yellow: paint('yellow') };
}

/** no-color.org: any value but the empty one turns colours off. */
export function wantsColours(terminal: boolean, env: Record<string, string | undefined>): boolean {
  return terminal && (env.NO_COLOR ?? '') === '' && env.TERM !== 'dumb';
}
