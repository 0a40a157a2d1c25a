// The schemas as ajv validators, for manifests that did not come through an API server. CEL rules across fields are the API server's alone.
import { Ajv, type ValidateFunction } from 'ajv';
import type { KindDefinition } from './kind.ts';

const ajv = new Ajv({ allErrors: true, strict: false, useDefaults: true, formats: { 'date-time': isTime, int32: true, int64: true } });
const compiled = new Map<KindDefinition, ValidateFunction>();

/** What is wrong with a spec, one sentence each; none when it fits. Fills in defaults. */
export function specProblems(kind: KindDefinition, spec: unknown): string[] {
  const validate = compiled.get(kind) ?? ajv.compile(kind.spec);
  compiled.set(kind, validate);
  if (validate(spec)) return [];
  return (validate.errors ?? []).map((error) => `spec${error.instancePath.replaceAll('/', '.')} ${error.message ?? 'is wrong'}`);
}

function isTime(text: string): boolean {
  return /^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d/.test(text) && !Number.isNaN(Date.parse(text));
}
