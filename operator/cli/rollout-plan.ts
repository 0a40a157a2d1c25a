// `kubectl hedgerow rollout plan`: which devices a FirmwareRelease reaches in which wave, and what its gates can show, before anything is rolled out.
import { deviceKind } from '../api/device.ts';
import { type FirmwareReleaseSpec, firmwareReleaseKind } from '../api/firmware-release.ts';
import { specProblems } from '../api/validate.ts';
import {
  type Candidate,
  candidateOf,
  leastTime,
  type Misfit,
  planWaves,
  type Step,
  sampleToPass,
  spanMs,
  spanText,
  type WavePlan,
  windowAt,
  windowFault,
} from '../firmware/firmware.ts';
import { systemClock } from '../runtime/clock.ts';
import { printable } from './adoption-text.ts';
import type { Command, Output } from './command.ts';
import { CliError, explain } from './errors.ts';
import { OUTPUT_FLAG, required, TEXT, text, wantsJson } from './flags.ts';
import { readManifests } from './manifest-files.ts';
import { isRecord } from './record.ts';
import { facts, growingTable } from './table.ts';

const INCOMPLETE = 3;

export const rolloutPlan: Command = {
  words: ['rollout', 'plan'],
  operand: 'DIR',
  summary: 'which devices a FirmwareRelease reaches in which wave, and whether its gates can pass; asks no cluster',
  help: `usage: kubectl hedgerow rollout plan DIR [FLAG…]

Reads the manifests below DIR (.yaml, .yml, .json): a FirmwareRelease and Devices, for example from "kubectl get devices -A -o yaml". Prints each wave with its number of
devices, the least time that it takes (offers at the pace of the release, and the soak), and whether its gate can pass by itself: a gate needs a least number of devices,
and so many without failure that chance cannot explain it. A wave with fewer than that ends with a question to a person, however well it went.

  --release [NS/]NAME          which FirmwareRelease, where there are several
  --wave NAME                  print the devices of this wave instead, in their order
  --not-reached                print the devices that are in no wave instead, and why
  --output, -o json            everything for scripts

The order within a wave follows from the UIDs of release and Devices: only where the manifests have them (metadata.uid) are these the devices that the cluster takes.

Exit codes: 0 done; 1 it could not be done; 2 wrong use; 3 done, but a gate cannot pass by itself, devices are in no wave, or a file could not be read: it is named.
`,
  flags: { release: TEXT, wave: TEXT, 'not-reached': { type: 'boolean' }, ...OUTPUT_FLAG, help: { type: 'boolean', short: 'h' } },
  async run(values, output) {
    const json = wantsJson(values);
    const found = await objectsBelow(required(values, 'DIR'), text(values, 'release'), output);
    const plan = planWaves({ uid: found.release.uid, spec: found.release.spec }, found.devices);
    const wave = text(values, 'wave');
    const report = reportOf(found.release, plan);
    if (wave !== undefined) output.out(devicesText(wave, plan));
    else if (values['not-reached'] === true) output.out(outText(plan));
    else if (json) output.out(`${JSON.stringify(report, undefined, 2)}\n`);
    else output.out(planText(report));
    for (const line of report.attention) output.err(`kubectl hedgerow: ${explain('HR-CLI-077', printable(line))}\n`);
    return found.complete && report.attention.length === 0 ? 0 : INCOMPLETE;
  },
};

type Release = { key: string; uid: string; hasUid: boolean; spec: FirmwareReleaseSpec };
type Found = { release: Release; devices: Candidate[]; complete: boolean };
type Json = Record<string, unknown>;

async function objectsBelow(directory: string, wanted: string | undefined, output: Output): Promise<Found> {
  const { manifests, unreadable } = await readManifests(directory);
  const objects = manifests.flatMap(({ source, object }) => itemsOf(object).map((item) => ({ source, item })));
  const faults = [...unreadable];
  const devices: Candidate[] = [];
  for (const { source, item } of objects.filter(({ item: { kind } }) => kind === 'Device')) {
    const problems = specProblems(deviceKind, item.spec);
    if (problems.length > 0) faults.push(`${source}: ${keyOf(item)}: ${problems[0]}`);
    else devices.push(candidateIn(item));
  }
  for (const one of faults) output.err(`kubectl hedgerow: ${explain('HR-CLI-060', printable(`${directory}: ${one}`))}\n`);
  const releases = objects.map(({ item }) => item).filter(({ kind }) => kind === 'FirmwareRelease');
  return { release: releaseAmong(releases, wanted), devices, complete: faults.length === 0 };
}

/** The objects of a manifest: a List has several. */
function itemsOf(object: unknown): Json[] {
  if (!isRecord(object)) return [];
  return object.kind === 'List' && Array.isArray(object.items) ? object.items.filter(isRecord) : [object];
}

function releaseAmong(releases: readonly Json[], wanted: string | undefined): Release {
  const named = releases.filter((one) => wanted === undefined || keyOf(one) === wanted || metaOf(one).name === wanted);
  const [one, another] = named;
  if (one === undefined || another !== undefined) {
    const names = (one === undefined ? releases : named).map(keyOf).join(', ');
    throw new CliError('HR-CLI-075', `${one === undefined ? 'none' : 'several'}; there is ${names === '' ? 'no FirmwareRelease' : names}`);
  }
  const problems = specProblems(firmwareReleaseKind, one.spec);
  if (problems.length > 0) throw new CliError('HR-CLI-076', printable(`${keyOf(one)}: ${problems.slice(0, 3).join('; ')}`));
  const spec = one.spec as FirmwareReleaseSpec;
  const faults = windowsOf(spec).flatMap(([, windows]) => windows.flatMap((window) => windowFault(window) ?? []));
  if (faults.length > 0) throw new CliError('HR-CLI-076', printable(`${keyOf(one)}: spec.rollout.windows: ${faults.join('; ')}`));
  const { uid } = metaOf(one);
  return { key: keyOf(one), uid: uid ?? keyOf(one), hasUid: uid !== undefined, spec };
}

type Windows = NonNullable<FirmwareReleaseSpec['rollout']['windows']>['install'];
const windowsOf = ({ rollout: { windows } }: FirmwareReleaseSpec): [what: 'download' | 'install', windows: NonNullable<Windows>][] => [
  ['download', windows?.download ?? []],
  ['install', windows?.install ?? []],
];

type Meta = { name: string; namespace: string; uid: string | undefined; labels: Record<string, string> };

function metaOf({ metadata }: Json): Meta {
  const { name, namespace, uid, labels } = isRecord(metadata) ? metadata : {};
  const texts = isRecord(labels) ? Object.entries(labels).filter((entry): entry is [string, string] => typeof entry[1] === 'string') : [];
  return {
    name: typeof name === 'string' ? name : '',
    namespace: typeof namespace === 'string' ? namespace : 'default',
    uid: typeof uid === 'string' && uid !== '' ? uid : undefined,
    labels: Object.fromEntries(texts),
  };
}

const keyOf = (object: Json): string => `${metaOf(object).namespace}/${metaOf(object).name}`;

/** Its spec was checked; its status is whatever the file says. */
function candidateIn(device: Json): Candidate {
  return candidateOf({ metadata: metaOf(device), spec: device.spec, status: device.status } as Parameters<typeof candidateOf>[0]);
}

type Row = {
  wave: string;
  devices: number;
  sites: number;
  leastSeconds: number;
  soak: string;
  approval: string;
  gate: 'Passes' | 'Asks' | 'None';
  last: boolean;
};
type Report = {
  release: string;
  component: string;
  version: string;
  /** Devices without failure from which on the gate can pass; null: it never can. */
  gateNeeds: number | null;
  steps: Row[];
  /** When devices may download and install, where that is not always: open, or when next, RFC 3339. */
  windows: { what: string; opens: string }[];
  /** Devices that it selects and that are in no wave, by why. */
  notReached: Partial<Record<Misfit['why'] | 'InNoWave', number>>;
  attention: string[];
};

function reportOf({ key, hasUid, spec }: Release, plan: WavePlan): Report {
  const needed = sampleToPass(spec.rollout.gates);
  let confirmed = 0;
  const steps = plan.steps.map((step, at) => {
    const row = rowOf(spec, step, { needed, confirmed, last: at === plan.steps.length - 1 });
    confirmed += step.devices.length;
    return row;
  });
  const windows = windowsOf(spec).flatMap(([what, list]) => (list.length === 0 ? [] : [{ what, opens: opensAt(list) }]));
  const attention = [
    ...steps.filter(({ gate, last }) => gate === 'Asks' && !last).map((row) => shortText(row, needed)),
    ...(plan.left.length === 0 ? [] : [`${plan.left.length} devices are in no wave: ${someOf(plan.left)}`]),
    ...(hasUid ? [] : [`${key} has no metadata.uid: the devices of a wave will be others in the cluster, their numbers are right`]),
  ];
  const notReached: Report['notReached'] = {};
  for (const { why } of plan.out) notReached[why] = (notReached[why] ?? 0) + 1;
  if (plan.left.length > 0) notReached.InNoWave = plan.left.length;
  const gateNeeds = Number.isFinite(needed) ? needed : null;
  return { release: key, component: spec.component, version: spec.version, gateNeeds, steps, windows, notReached, attention };
}

function opensAt(windows: NonNullable<Windows>): string {
  const { open, until } = windowAt(windows, systemClock.now());
  if (open) return until === undefined ? 'when the device says so' : `now, until ${new Date(until).toISOString()}`;
  return until === undefined ? 'never' : new Date(until).toISOString();
}

type Place = { needed: number /** Devices of the waves before. */; confirmed: number; last: boolean };

function rowOf(spec: FirmwareReleaseSpec, { wave, part, parts, devices }: Step, { needed, confirmed, last }: Place): Row {
  const { soak, approval } = spec.rollout.waves.find(({ name }) => name === wave) ?? { soak: '0s', approval: 'None' };
  const leastMs = leastTime(spec.rollout.pace, { offers: devices.length, confirmed }) + spanMs(soak);
  return {
    wave: parts === 1 ? wave : `${wave} ${part}/${parts}`,
    devices: devices.length,
    sites: new Set(devices.map(({ namespace }) => namespace)).size,
    leastSeconds: leastMs / 1000,
    soak,
    approval,
    gate: needed === 0 ? 'None' : devices.length >= needed ? 'Passes' : 'Asks',
    last,
  };
}

function shortText({ wave, devices }: Row, needed: number): string {
  if (!Number.isFinite(needed))
    return `wave ${wave}: no number of devices can show what its gate asks for (0% failures, or 100% confidence)`;
  return `wave ${wave} has ${devices} devices and its gate passes from ${needed} without failure on: a person has to approve the next one`;
}

const SHOWN = 5;
const someOf = (devices: readonly Candidate[]): string => {
  const names = devices.slice(0, SHOWN).map(({ namespace, name }) => `${namespace}/${name}`);
  return [...names, ...(devices.length > SHOWN ? [`and ${devices.length - SHOWN} more`] : [])].join(', ');
};

function planText({ release, component, version, gateNeeds, steps, windows, notReached }: Report): string {
  const gate = gateNeeds === 0 ? 'none: each wave starts when the one before has ended' : gateNeeds === null ? 'never passes' : undefined;
  const head = facts([
    ['release', release],
    ['firmware', `${component} ${version}`],
    ['gate', gate ?? `passes from ${gateNeeds} devices without failure on`],
    ...windows.map(({ what, opens }): [string, string] => [`${what} opens`, opens]),
    ['takes at least', spanText(steps.reduce((sum, { leastSeconds }) => sum + leastSeconds, 0) * 1000)],
    ['not reached', notReachedText(notReached)],
  ]);
  const can = ({ gate: one, last }: Row): string =>
    last ? 'last' : one === 'None' ? 'no gate' : one === 'Passes' ? 'yes' : 'asks a person';
  const rows = steps.map((row) => [
    row.wave,
    `${row.devices}`,
    `${row.sites}`,
    spanText(row.leastSeconds * 1000),
    row.soak,
    row.approval,
    can(row),
  ]);
  return `${head}\n${growingTable(['WAVE', 'DEVICES', 'SITES', 'AT LEAST', 'SOAK', 'APPROVAL', 'GATE CAN PASS'])(rows)}`;
}

function notReachedText(counts: Report['notReached']): string {
  const words = {
    Incompatible: 'without an image for them',
    Blocked: 'that need something else first',
    Newer: 'that run something newer',
    Current: 'that run it already',
    Held: 'held',
    InNoWave: 'in no wave',
  } as const;
  const parts = Object.entries(words).flatMap(([why, said]) => {
    const count = counts[why as keyof typeof words];
    return count === undefined ? [] : [`${count} ${said}`];
  });
  return parts.length === 0 ? 'nobody' : parts.join(', ');
}

function outText({ out, left }: WavePlan): string {
  const rows = [
    ...out.map(({ device, why, reason }) => [`${device.namespace}/${device.name}`, why, reason]),
    ...left.map(({ namespace, name }) => [`${namespace}/${name}`, 'InNoWave', 'no wave takes it']),
  ];
  return growingTable(['DEVICE', 'WHY', 'REASON'])(rows);
}

function devicesText(wave: string, { steps }: WavePlan): string {
  const own = steps.filter((step) => step.wave === wave);
  if (own.length === 0)
    throw new CliError('HR-CLI-075', `no wave ${printable(wave)}; there is ${[...new Set(steps.map((step) => step.wave))].join(', ')}`);
  return own.flatMap(({ devices }) => devices.map(({ namespace, name }) => `${printable(`${namespace}/${name}`)}\n`)).join('');
}
