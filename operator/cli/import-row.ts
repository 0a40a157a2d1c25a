// One row as the manifest of a Device, held to the rules of the API and of the operator before anybody else sees it. Pure but for the files it asks for.
import { type Device, deviceKind } from '../api/device.ts';
import { certificateLifetime, durationMs } from '../api/duration.ts';
import { API_VERSION, DEVICES } from '../api/resources.ts';
import { specProblems } from '../api/validate.ts';
import { checkCsr, checkExisting, namesProblem } from '../identity/identity.ts';
import { printable } from './adoption-text.ts';
import { explain } from './errors.ts';
import { LABEL_COLUMN, type Row } from './import-csv.ts';

export type RowDefaults = { namespace: string; enrollment: 'CSR' | 'EST' | undefined };

/** The text of a file beside the CSV; or why it cannot be had, a line with its code. */
export type ReadBeside = (file: string) => Promise<string | { problem: string }>;

/** `key`: sha256 of the public key that the manifest names. */
export type Imported = { line: number; device: Device & { metadata: { name: string; namespace: string } }; key: string | undefined };

export async function importRow(row: Row, defaults: RowDefaults, read: ReadBeside, now: number): Promise<Imported | { problem: string }> {
  const cell = (column: string): string | undefined => row.cells.get(column) || undefined;
  const names = { name: cell('name') ?? '', namespace: defaults.namespace, segment: cell('segment') ?? '' };
  const enrollment = cell('enrollment') ?? defaults.enrollment ?? 'CSR';
  const early = namesProblem(names) ?? enrollmentProblem(enrollment, row, cell('bootstrap'));
  if (early !== undefined) return { problem: early };
  const proof = await proofOf(enrollment, names, cell, read, now);
  if ('problem' in proof) return proof;
  const { labels, problem } = labelsOf(row);
  if (problem !== undefined) return { problem };
  const optional = (fields: Record<string, string | undefined>): Record<string, string> =>
    Object.fromEntries(Object.entries(fields).filter((field): field is [string, string] => field[1] !== undefined));
  const hardware = optional({ model: cell('model'), revision: cell('revision'), serial: cell('serial') });
  const lifetime = optional({ duration: cell('duration'), renewBefore: cell('renew_before') });
  const spec = {
    segment: names.segment,
    ...(Object.keys(hardware).length === 0 ? {} : { hardware }),
    identity: { enrollment, ...proof.identity, ...lifetime },
    ...optional({ offlineBudget: cell('offline_budget') }),
  };
  const [wrong] = specProblems(deviceKind, structuredClone(spec));
  if (wrong !== undefined) return { problem: explain('HR-CLI-052', printable(wrong)) };
  const times = timesProblem(spec);
  if (times !== undefined) return { problem: explain('HR-CLI-052', times) };
  const metadata = { name: names.name, namespace: names.namespace, ...(Object.keys(labels).length === 0 ? {} : { labels }) };
  const device = { apiVersion: API_VERSION, kind: DEVICES.kind, metadata, spec } as Imported['device'];
  return { line: row.line, device, key: proof.key };
}

const ENROLLMENTS = ['CSR', 'EST', 'Managed', 'Existing'];
/** Cells that belong to one way of enrollment, as in the API. */
const BELONGS: readonly [column: string, enrollment: string][] = [
  ['csr_file', 'CSR'],
  ['bootstrap', 'EST'],
  ['secret_name', 'Managed'],
  ['certificate_file', 'Existing'],
];

function enrollmentProblem(enrollment: string, { cells }: Row, bootstrap: string | undefined): string | undefined {
  if (!ENROLLMENTS.includes(enrollment))
    return explain('HR-CLI-052', `enrollment "${shown(enrollment)}" is none of ${ENROLLMENTS.join(', ')}`);
  const astray = BELONGS.find(([column, belongs]) => cells.get(column) && enrollment !== belongs);
  if (astray !== undefined)
    return explain('HR-CLI-052', `${astray[0]} goes with enrollment ${astray[1]} only, and this row has ${enrollment}`);
  if (enrollment === 'EST' && bootstrap === 'Manufacturer' && !cells.get('serial'))
    return explain('HR-CLI-052', 'bootstrap Manufacturer needs serial: it is what the factory certificate has to prove');
  return undefined;
}

type Names = { name: string; namespace: string; segment: string };
type Proof = { identity: object; key: string | undefined };

async function proofOf(
  enrollment: string,
  names: Names,
  cell: (column: string) => string | undefined,
  read: ReadBeside,
  now: number,
): Promise<Proof | { problem: string }> {
  if (enrollment === 'EST') return { identity: { est: { bootstrap: cell('bootstrap') ?? 'Token' } }, key: undefined };
  if (enrollment === 'Managed') return { identity: { secretName: cell('secret_name') ?? `${names.name}-tls` }, key: undefined };
  const isCsr = enrollment === 'CSR';
  const pem = await read((isCsr ? cell('csr_file') : cell('certificate_file')) ?? `${names.name}.${isCsr ? 'csr' : 'crt'}`);
  if (typeof pem !== 'string') return pem;
  // The operator's own gate. The file's text is in no message: somebody may have put a key there.
  const checked = isCsr ? checkCsr(pem, names) : checkExisting(pem, names, now);
  if ('problem' in checked) return { problem: checked.problem };
  return { identity: isCsr ? { csr: pem } : { existing: { certificate: pem } }, key: checked.key };
}

const LABEL_VALUE = /^([A-Za-z0-9]([A-Za-z0-9._-]{0,61}[A-Za-z0-9])?)?$/;
const LABEL_NAME = /^[A-Za-z0-9]([A-Za-z0-9._-]{0,61}[A-Za-z0-9])?$/;
const LABEL_PREFIX = /^(?=.{1,253}$)[a-z0-9]([a-z0-9-]*[a-z0-9])?(\.[a-z0-9]([a-z0-9-]*[a-z0-9])?)*$/;

/** An empty cell is no label. As the API server judges labels (apimachinery, validation.IsQualifiedName and IsValidLabelValue). */
function labelsOf({ cells }: Row): { labels: Record<string, string>; problem?: string } {
  const labels: Record<string, string> = {};
  for (const [column, value] of cells) {
    if (!column.startsWith(LABEL_COLUMN) || value === '') continue;
    const key = column.slice(LABEL_COLUMN.length);
    const [name = '', prefix, ...more] = key.split('/').reverse();
    const isKey = more.length === 0 && LABEL_NAME.test(name) && (prefix === undefined || LABEL_PREFIX.test(prefix));
    if (!isKey || !LABEL_VALUE.test(value))
      return { labels, problem: explain('HR-CLI-052', `"${shown(key)}" with "${shown(value)}" makes no label`) };
    labels[key] = value;
  }
  return { labels };
}

const LEAST_MS = 10_000;
const MOST_MS = 43_800 * 3_600_000;

/** The rules of the API server over several durations (HR-API-007), which a schema alone does not tell. */
function timesProblem(spec: {
  identity: { enrollment: string; duration?: string; renewBefore?: string };
  offlineBudget?: string;
}): string | undefined {
  const { enrollment, renewBefore } = spec.identity;
  const { durationMs: whole, renewBeforeMs } = certificateLifetime(spec.identity);
  const budget = durationMs(spec.offlineBudget ?? '0s') ?? 0;
  const isManaged = enrollment === 'Managed';
  if (whole < LEAST_MS || whole > MOST_MS) return 'duration is at least 10s and at most 43800h';
  if (renewBefore !== undefined && (renewBeforeMs <= 0 || renewBeforeMs >= whole))
    return 'renew_before is longer than 0s and shorter than duration';
  if (isManaged && whole < 3_600_000) return 'for enrollment Managed cert-manager wants a duration of at least 1h';
  if (isManaged && renewBefore !== undefined && renewBeforeMs < 300_000)
    return 'for enrollment Managed cert-manager wants renew_before of at least 5m';
  const triple = renewBefore === undefined ? whole : 3 * renewBeforeMs;
  return 3 * budget > triple ? 'offline_budget is at most renew_before, which is a third of duration by default' : undefined;
}

const shown = (text: string): string => printable(text.slice(0, 80));
