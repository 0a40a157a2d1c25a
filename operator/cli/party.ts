// Who is meant by a word at a shell: a Device, a segment, pods or addresses. Pure, but for names that have to exist.
import { isRange, type Party, type Verifier } from '../reach/reach.ts';
import { CliError } from './errors.ts';
import { WrongUse } from './parse.ts';

export const PARTY_HELP = `  NAME, NS/NAME                a Device; without NS that of --namespace
  segment/NAME                 a segment, by its SegmentPolicy; also segment/NS/NAME
  pod/NAME                     pods, by the name of the Pod or of what makes them; also pod/NS/NAME
  cidr:RANGE                   addresses outside the cluster, for example cidr:0.0.0.0/0 or cidr:203.0.113.7
`;

/** Throws WrongUse for a word of no such form, HR-CLI-064 where nothing has that name. */
export function partyOf(word: string, namespace: string, { survey }: Verifier): Party {
  if (word.startsWith('cidr:')) return addressParty(word.slice('cidr:'.length));
  const [first = '', ...rest] = word.split('/');
  const kind = first === 'segment' || first === 'pod' || first === 'device' ? first : undefined;
  const key = keyOf(kind === undefined ? [first, ...rest] : rest, namespace, word);
  if (kind === 'segment')
    return survey.facts.policies.has(key) ? { segment: key } : unknown('SegmentPolicy', key, [...survey.facts.policies.keys()]);
  if (kind === 'pod') return podParty(key, [...survey.facts.pods.keys()]);
  return survey.facts.devices.has(key) ? { device: key } : unknown('Device', key, [...survey.facts.devices.keys()]);
}

/** `<namespace>/<name>` of a Device. */
export function deviceKey(word: string, namespace: string, verifier: Verifier): string {
  const party = partyOf(word, namespace, verifier);
  if (!('device' in party)) throw new WrongUse(`${word}: a Device is asked for`);
  return party.device;
}

export function partyText(party: Party): string {
  if ('device' in party) return `Device ${party.device}`;
  if ('segment' in party) return `segment ${party.segment}`;
  return 'pods' in party ? `pods ${party.pods}` : `addresses ${party.address}`;
}

function addressParty(range: string): Party {
  if (!isRange(range)) throw new WrongUse(`cidr:${range}: no range such as 10.0.0.0/8`);
  return { address: range };
}

function keyOf(parts: readonly string[], namespace: string, word: string): string {
  const [first = '', second] = parts;
  if (parts.length > 2 || parts.some((part) => part === ''))
    throw new WrongUse(`${word}: write NAME or NS/NAME, segment/NAME, pod/NAME or cidr:RANGE`);
  return second === undefined ? `${namespace}/${first}` : `${first}/${second}`;
}

/** `<namespace>/<name>[<kind>]`; without the kind where only one has the name. */
function podParty(key: string, known: readonly string[]): Party {
  const found = known.filter((one) => one === key || one.startsWith(`${key}[`));
  const [only, second] = found;
  if (only === undefined) return unknown('pods', key, known);
  if (second !== undefined)
    throw new WrongUse(`pod/${key} may be ${found.join(' or ')}: write the kind behind the name, as it stands there`);
  return { pods: only };
}

function unknown(kind: string, key: string, known: readonly string[]): never {
  const [, name = ''] = key.split('/');
  const near = known.filter((one) => one.split('/')[1]?.replace(/\[.*/, '') === name).slice(0, 3);
  throw new CliError('HR-CLI-064', `no ${kind} ${key}${near.length === 0 ? '' : `; there is ${near.join(', ')}`}`);
}
