// What several programs read from their flags alike. Pure: text in, a value or a thrown complaint out.

const LEVELS = ['debug', 'info', 'warn', 'error'] as const;

export function required(flag: string, value: string | undefined): string {
  if (value === undefined || value === '') throw new Error(`--${flag} is required`);
  return value;
}

export function wholeNumber(flag: string, text: string, least: number, most: number): number {
  const value = Number(text);
  if (text.trim() === '' || !Number.isInteger(value) || value < least || value > most)
    throw new Error(`--${flag} ${text} is not a whole number from ${least} to ${most}`);
  return value;
}

export function logLevel(text: string): (typeof LEVELS)[number] {
  const found = LEVELS.find((one) => one === text);
  if (found === undefined) throw new Error(`--log-level ${text} is none of ${LEVELS.join(', ')}`);
  return found;
}

/** An IPv6 address stands in brackets. */
export function hostPort(flag: string, text: string): { host: string; port: number } {
  const [, inBrackets, plain, digits = ''] = /^(?:\[([0-9A-Fa-f:.]+)\]|([^:[\]/@\s]+)):(\d{1,5})$/.exec(text) ?? [];
  const host = inBrackets ?? plain;
  if (host === undefined || Number(digits) < 1 || Number(digits) > 65_535) throw new Error(`--${flag} ${text} is not HOST:PORT`);
  return { host, port: Number(digits) };
}
