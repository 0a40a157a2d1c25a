// The only place that reads environment variables. Flags beat the environment.

/** The value, or `undefined` when it is unset or empty. */
export function environment(name: string): string | undefined {
  const value = process.env[name];
  return value === undefined || value === '' ? undefined : value;
}
