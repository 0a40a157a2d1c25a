/** Recorded exchanges that the stand-in does not answer alike, each with its reason. The replay fails when one of them is no longer needed. */

export type Exception = { file: string; entry: RegExp; reason: string };

export const EXCEPTIONS: readonly Exception[] = [];
