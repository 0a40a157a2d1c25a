// `kubectl hedgerow import-mud`: a SegmentPolicy draft from what the maker of a device says it needs. Offline; nothing is applied.
import { promises as fs } from 'node:fs';
import { stringify } from 'yaml';
import { segmentPolicyKind } from '../api/segment-policy.ts';
import { specProblems } from '../api/validate.ts';
import { type Draft, draftOf, MAX_MUD_BYTES, type Mud, MudRefused, type Places, readMud } from '../mud/mud.ts';
import { networkOf } from '../reach/reach.ts';
import { printable } from './adoption-text.ts';
import type { Command } from './command.ts';
import { CliError, explain } from './errors.ts';
import { required, TEXTS, text, texts } from './flags.ts';
import { type Values, WrongUse } from './parse.ts';

const PARTLY = 3;
const LABEL = /^[a-z0-9]([a-z0-9-]{0,61}[a-z0-9])?$/;

export const importMud: Command = {
  words: ['import-mud'],
  operand: 'FILE',
  summary: "a SegmentPolicy draft from a maker's MUD file (RFC 8520)",
  help: `usage: kubectl hedgerow import-mud FILE [FLAG…]

Prints a SegmentPolicy with the connections that the MUD file lets through, as YAML for review. Entries that a SegmentPolicy cannot say, or whose peer is a name in the
world of the maker, are left out and named on stderr and in the draft: what is not granted is denied.

  --name NAME                  of the SegmentPolicy (default: from the model's name)
  --namespace, -n NS           where it shall lie (default: none in the draft)
  --map WHAT=WHERE             where a name of the file lies here; may be repeated. WHAT: my-controller, same-manufacturer, local-networks, controller=URI,
                               manufacturer=NAME, model=URI, dns=NAME. WHERE: SEGMENT, NAMESPACE/SEGMENT, or addresses such as 192.0.2.0/24

The file is not fetched and its signature (RFC 8520 §13) is not checked: do that first, with
  openssl cms -verify -in FILE.p7s -inform DER -content FILE -CAfile MAKERS-CA.pem -purpose any -out /dev/null

Exit codes: 0 all of it is in the draft; 1 it could not be done; 2 wrong use; 3 something was left out.
`,
  flags: {
    name: { type: 'string' },
    namespace: { type: 'string', short: 'n' },
    map: TEXTS,
    help: { type: 'boolean', short: 'h' },
  },
  async run(values, output) {
    const places = placesIn(values);
    const mud = await mudIn(required(values, 'FILE'));
    const draft = draftOf(mud, places);
    const manifest = manifestOf(mud, draft, values);
    const problems = specProblems(segmentPolicyKind, structuredClone(manifest.spec));
    if (problems.length > 0) throw new CliError('HR-CLI-062', problems.slice(0, 3).map(printable).join('; '));
    const notes = draft.leftOut.map((one) => `# not in this draft: ${printable(one)}\n`).join('');
    output.out(`# From ${mud.url}; the signature was not checked.\n${notes}${stringify(manifest, { lineWidth: 160 })}`);
    for (const one of draft.leftOut) output.err(`kubectl hedgerow: ${explain('HR-CLI-061', printable(one))}\n`);
    return draft.leftOut.length === 0 ? 0 : PARTLY;
  },
};

async function mudIn(file: string): Promise<Mud> {
  try {
    const { size } = await fs.stat(file);
    if (size > MAX_MUD_BYTES) throw new MudRefused(`it has more than ${MAX_MUD_BYTES / 1024} KiB`);
    return readMud(await fs.readFile(file, 'utf8'));
  } catch (error) {
    if (error instanceof MudRefused) throw new CliError('HR-CLI-062', `${file}: ${printable(error.message)}`);
    throw new CliError('HR-CLI-004', `${file} (${(error as NodeJS.ErrnoException).code ?? 'unknown'})`);
  }
}

function manifestOf(mud: Mud, draft: Draft, values: Values) {
  const name = text(values, 'name') ?? draft.name;
  const namespace = text(values, 'namespace');
  for (const label of [name, namespace]) {
    if (label !== undefined && !LABEL.test(label)) throw new WrongUse(`${label} is no name: lower-case letters, digits and -, at most 63`);
  }
  const annotations = {
    'hedgerow.dev/mud-url': mud.url,
    ...(mud.lastUpdate === '' ? {} : { 'hedgerow.dev/mud-last-update': mud.lastUpdate }),
  };
  return {
    apiVersion: 'hedgerow.dev/v1alpha1',
    kind: 'SegmentPolicy',
    metadata: { name, ...(namespace === undefined ? {} : { namespace }), annotations },
    spec: draft.spec,
  };
}

function placesIn(values: Values): Places {
  return new Map(
    texts(values, 'map').map((pair) => {
      const equals = pair.lastIndexOf('=');
      const [what, where] = [pair.slice(0, equals), pair.slice(equals + 1)];
      if (equals < 1 || where === '') throw new WrongUse(`--map ${pair} is not WHAT=WHERE`);
      return [what, placeIn(where)];
    }),
  );
}

function placeIn(where: string): { segment: string; namespace?: string } | { cidr: string } {
  const cidr = networkOf(where);
  if (cidr !== undefined) return { cidr };
  const [first = '', second, ...more] = where.split('/');
  const labels = second === undefined ? [first] : [first, second];
  if (more.length > 0 || !labels.every((label) => LABEL.test(label)))
    throw new WrongUse(`--map: ${where} is neither SEGMENT, NAMESPACE/SEGMENT nor addresses`);
  return second === undefined ? { segment: first } : { segment: second, namespace: first };
}
