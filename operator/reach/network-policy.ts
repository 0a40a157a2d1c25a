// networking.k8s.io/v1 NetworkPolicy: read strictly, because a rule that is skipped would make an answer wrong.
import { type AddressRange, contains, parseCidr, subtract } from './addresses.ts';
import { isObject, type LabelSelector, readSelector } from './label-selector.ts';
import { isProtocol, type Protocol } from './ports.ts';

export type Peer =
  /** `namespaces` undefined: those of the policy's own namespace. */
  | { kind: 'pods'; pods: LabelSelector; namespaces: LabelSelector | undefined }
  /** The CIDR without its exceptions. */
  | { kind: 'addresses'; ranges: readonly AddressRange[] };
/** `port` undefined: every port of the protocol. A name is looked up in the pods that are connected to. */
export type PolicyPort = { protocol: Protocol; port: number | string | undefined; endPort: number | undefined };
/** `peers` or `ports` empty: all. */
export type Rule = { peers: readonly Peer[]; ports: readonly PolicyPort[] };
export type NetworkPolicy = {
  namespace: string;
  name: string;
  pods: LabelSelector;
  /** undefined: the policy says nothing about this direction. */
  ingress: readonly Rule[] | undefined;
  egress: readonly Rule[] | undefined;
};

/** The policy, or in words what is wrong with it. */
export function readPolicy(namespace: string, name: string, spec: unknown): NetworkPolicy | string {
  if (!isObject(spec)) return 'it has no spec';
  try {
    const types = policyTypes(spec);
    return {
      namespace,
      name,
      pods: selector(spec.podSelector ?? {}, 'spec.podSelector'),
      ingress: types.has('Ingress')
        ? list(spec.ingress, 'spec.ingress').map((rule, at) => readRule(rule, 'from', `spec.ingress[${at}]`))
        : undefined,
      egress: types.has('Egress')
        ? list(spec.egress, 'spec.egress').map((rule, at) => readRule(rule, 'to', `spec.egress[${at}]`))
        : undefined,
    };
  } catch (error) {
    if (error instanceof Malformed) return error.message;
    throw error;
  }
}

class Malformed extends Error {}

/** Default: Ingress, and Egress where there are rules for it. */
function policyTypes(spec: Record<string, unknown>): ReadonlySet<unknown> {
  const named = list(spec.policyTypes, 'spec.policyTypes');
  const wrong = named.find((type) => type !== 'Ingress' && type !== 'Egress');
  if (wrong !== undefined) throw new Malformed(`spec.policyTypes: ${JSON.stringify(wrong)?.slice(0, 60)} is neither Ingress nor Egress`);
  if (named.length > 0) return new Set(named);
  return new Set(list(spec.egress, 'spec.egress').length > 0 ? ['Ingress', 'Egress'] : ['Ingress']);
}

function readRule(rule: unknown, direction: 'from' | 'to', path: string): Rule {
  // A rule that is null is an empty one: everything.
  const fields = rule ?? {};
  if (!isObject(fields)) throw new Malformed(`${path} is not an object`);
  known(fields, [direction, 'ports'], path);
  return {
    peers: list(fields[direction], `${path}.${direction}`).map((peer, at) => readPeer(peer, `${path}.${direction}[${at}]`)),
    ports: list(fields.ports, `${path}.ports`).map((port, at) => readPort(port, `${path}.ports[${at}]`)),
  };
}

function readPeer(peer: unknown, path: string): Peer {
  if (!isObject(peer)) throw new Malformed(`${path} is not an object`);
  known(peer, ['podSelector', 'namespaceSelector', 'ipBlock'], path);
  const { podSelector, namespaceSelector, ipBlock } = peer;
  const selects = (podSelector ?? namespaceSelector ?? undefined) !== undefined;
  if (ipBlock === undefined || ipBlock === null) {
    if (!selects) throw new Malformed(`${path} names nobody: give it a podSelector, a namespaceSelector or an ipBlock`);
    return {
      kind: 'pods',
      pods: selector(podSelector ?? {}, `${path}.podSelector`),
      namespaces:
        namespaceSelector === undefined || namespaceSelector === null
          ? undefined
          : selector(namespaceSelector, `${path}.namespaceSelector`),
    };
  }
  if (selects) throw new Malformed(`${path} has an ipBlock and a selector: only one of them may stand there`);
  return readBlock(ipBlock, `${path}.ipBlock`);
}

function readBlock(block: unknown, path: string): Peer {
  if (!isObject(block)) throw new Malformed(`${path} is not an object`);
  known(block, ['cidr', 'except'], path);
  const cidr = range(block.cidr, `${path}.cidr`);
  const except = list(block.except, `${path}.except`).map((one, at) => range(one, `${path}.except[${at}]`));
  if (!except.every((one) => contains(cidr, one))) throw new Malformed(`${path}.except lies outside its cidr`);
  return { kind: 'addresses', ranges: subtract(cidr, except) };
}

function readPort(value: unknown, path: string): PolicyPort {
  const fields = value ?? {};
  if (!isObject(fields)) throw new Malformed(`${path} is not an object`);
  known(fields, ['protocol', 'port', 'endPort'], path);
  const { protocol = 'TCP', port, endPort } = fields;
  if (typeof protocol !== 'string' || !isProtocol(protocol)) throw new Malformed(`${path}.protocol is none of TCP, UDP, SCTP`);
  const named = typeof port === 'string';
  if (port !== undefined && port !== null && !named && !isPort(port)) throw new Malformed(`${path}.port is neither a name nor 1 to 65535`);
  if (endPort === undefined || endPort === null) return { protocol, port: (port ?? undefined) as PolicyPort['port'], endPort: undefined };
  if (!isPort(port) || !isPort(endPort) || endPort < port)
    throw new Malformed(`${path}.endPort goes with a port number that is not above it`);
  return { protocol, port, endPort };
}

function isPort(value: unknown): value is number {
  return typeof value === 'number' && Number.isInteger(value) && value >= 1 && value <= 65_535;
}

function selector(value: unknown, path: string): LabelSelector {
  const read = readSelector(value);
  if (typeof read === 'string') throw new Malformed(`${path}: ${read}`);
  return read;
}

function range(value: unknown, path: string): AddressRange {
  const parsed = typeof value === 'string' ? parseCidr(value) : undefined;
  if (parsed === undefined) throw new Malformed(`${path} is no CIDR such as 10.0.0.0/8`);
  return parsed;
}

function list(value: unknown, path: string): readonly unknown[] {
  if (value === undefined || value === null) return [];
  if (!Array.isArray(value)) throw new Malformed(`${path} is not a list`);
  return value;
}

/** A misspelt field would widen the rule that it stands in; the API server refuses it too. */
function known(object: Record<string, unknown>, names: readonly string[], path: string): void {
  const unknown = Object.keys(object).find((name) => !names.includes(name));
  if (unknown !== undefined) throw new Malformed(`${path} has the unknown field ${JSON.stringify(unknown.slice(0, 60))}`);
}
