// The CAs of devices, kept in a ConfigMap beside the ledger: public certificates only. Put in before the first certificate of a CA is recorded, taken out when its last
// one has ended. What the broker and the EST server trust comes from here (docs/adr/0013-ca-rotation.md).
import { Gauge, type Registry } from 'prom-client';
import type { ObjectMeta } from '../api/meta.ts';
import { CONFIG_MAPS } from '../api/resources.ts';
import type { KubeClient } from '../kube/client.ts';
import type { Clock } from '../runtime/clock.ts';
import type { Log } from '../runtime/log.ts';
import { type Census, type KnownAuthority, selectAuthorities } from './ca-bundle.ts';
import type { LedgerEntry } from './ledger-entry.ts';
import { readAuthority, type Signer } from './signer.ts';

export const CA_BUNDLE = 'hedgerow-ca-bundle';

export type CaBundle = { cas: readonly string[]; pem: string };

export type AuthoritiesDeps = {
  client: KubeClient;
  namespace: string;
  /** Undefined while the ledger was not read. */
  entries: () => Iterable<LedgerEntry> | undefined;
  /** Whether certificates of this CA get through to the broker, as far as anybody can tell. */
  isInForce: (ca: string) => boolean;
  clock: Clock;
  log: Log;
  registry: Registry;
};

export interface Authorities {
  state(ca: string): 'new' | 'waiting' | 'trusted';
  /** Durable when it resolves. */
  announce(signer: Signer): Promise<void>;
  /** What the broker should trust; undefined while that is not known for certain: then it is left as it is. */
  bundle(): CaBundle | undefined;
  onChange(listener: () => void): void;
  run(signal: AbortSignal): Promise<void>;
}

type ConfigMap = { apiVersion?: string; kind?: string; metadata: ObjectMeta; data?: Record<string, string> };

const LOOK_MS = 15_000;
const FAILED_MS = 2_000;

export function createAuthorities(deps: AuthoritiesDeps): Authorities {
  const { client, clock, log } = deps;
  const ref = { name: CA_BUNDLE, namespace: deps.namespace };
  /** Undefined until the ConfigMap was read. */
  let known: Map<string, KnownAuthority> | undefined;
  let bundle: CaBundle | undefined;
  let census: Census = { byCa: new Map(), withoutCa: 0 };
  let said = '';
  const listeners: (() => void)[] = [];
  /** One write at a time. */
  let writing: Promise<void> = Promise.resolve();
  measure(deps.registry, () => census);

  /** Reads what is there, adds what is known, takes out what has ended, writes if that differs. */
  async function synchronise(signal?: AbortSignal): Promise<void> {
    const entries = deps.entries();
    if (entries === undefined) return;
    const live = await client.get<ConfigMap>(CONFIG_MAPS, ref, signal);
    const all = merge(known, live?.data);
    const { keep, missing, census: counted } = selectAuthorities([...all.values()], entries, clock.now());
    const data = { 'ca.crt': keep.map(({ pem }) => pem).join(''), ...Object.fromEntries(keep.map(({ id, pem }) => [`${id}.crt`, pem])) };
    if (keep.length > 0 && !same(live?.data, data)) await write(live, data, signal);
    known = new Map(keep.map(({ id }) => [id, settled(all.get(id) as KnownAuthority, counted)]));
    census = counted;
    publish(keep, missing);
  }

  async function write(live: ConfigMap | undefined, data: Record<string, string>, signal?: AbortSignal): Promise<void> {
    const labels = { 'app.kubernetes.io/managed-by': 'hedgerow' };
    if (live === undefined) {
      await client.create<ConfigMap>(CONFIG_MAPS, { apiVersion: 'v1', kind: 'ConfigMap', metadata: { ...ref, labels }, data }, signal);
    } else {
      await client.update<ConfigMap>(CONFIG_MAPS, { ...live, apiVersion: 'v1', kind: 'ConfigMap', data }, {}, signal);
    }
    log.info({ cas: Object.keys(data).length - 1 }, 'the bundle of the CAs of devices was written');
  }

  function publish(keep: readonly Signer[], missing: readonly string[]): void {
    const unsure =
      missing.length > 0
        ? `the certificate of CA ${missing.join(', ')} is lost: put it into ConfigMap ${CA_BUNDLE} as <id>.crt`
        : census.withoutCa > 0
          ? `${census.withoutCa} certificates are of a CA that nobody knows: until they have expired the broker's bundle is left as it is`
          : '';
    const next =
      unsure !== '' || keep.length === 0 ? undefined : { cas: keep.map(({ id }) => id), pem: keep.map(({ pem }) => pem).join('') };
    if (unsure !== said) {
      if (unsure !== '') log.warn({ found: unsure }, 'which CAs the broker must trust is not known for certain');
      said = unsure;
    }
    if (next?.pem === bundle?.pem) return;
    bundle = next;
    for (const listener of listeners) listener();
  }

  function inTurn(work: () => Promise<void>): Promise<void> {
    const mine = writing.then(work);
    writing = mine.catch(() => undefined);
    return mine;
  }

  return {
    state(ca) {
      if (known === undefined) return 'waiting';
      if (!known.has(ca)) return 'new';
      // Where the broker is left as it is, there is nobody to wait for.
      return bundle === undefined || deps.isInForce(ca) ? 'trusted' : 'waiting';
    },
    announce: (signer) =>
      inTurn(async () => {
        if (known === undefined) throw new Error('the bundle of CAs was not read yet');
        if (known.has(signer.id)) return;
        const before = known;
        known = new Map([...before, [signer.id, { ...signer, announcedAt: clock.now() }]]);
        try {
          await synchronise();
        } catch (error) {
          known = before;
          throw error;
        }
        log.info({ ca: signer.id }, 'a CA of devices was seen for the first time');
      }),
    bundle: () => bundle,
    onChange: (listener) => void listeners.push(listener),
    async run(signal) {
      while (!signal.aborted) {
        let pauseMs = known === undefined ? FAILED_MS / 4 : LOOK_MS;
        try {
          await inTurn(() => synchronise(signal));
          pauseMs = known === undefined ? FAILED_MS / 4 : LOOK_MS;
        } catch (error) {
          if (signal.aborted) return;
          log.warn({ err: error }, 'the bundle of the CAs of devices cannot be kept up; it is tried again');
          pauseMs = FAILED_MS;
        }
        await clock.sleep(pauseMs, signal).catch(() => undefined);
      }
    },
  };
}

/** What stands there counts only under the name that belongs to its content: the id is that of a certificate, and entries name it. */
function merge(
  known: ReadonlyMap<string, KnownAuthority> | undefined,
  data: Record<string, string> | undefined,
): Map<string, KnownAuthority> {
  const all = new Map(known);
  for (const [name, text] of Object.entries(data ?? {})) {
    const found = name === 'ca.crt' ? undefined : readAuthority(text);
    if (found !== undefined && name === `${found.id}.crt` && !all.has(found.id)) all.set(found.id, found);
  }
  return all;
}

/** Once an entry names it, the ledger alone says how long it stays. */
function settled(authority: KnownAuthority, { byCa }: Census): KnownAuthority {
  return byCa.has(authority.id) ? { id: authority.id, pem: authority.pem } : authority;
}

function same(live: Record<string, string> | undefined, wanted: Record<string, string>): boolean {
  const names = Object.keys(wanted);
  return live !== undefined && Object.keys(live).length === names.length && names.every((name) => live[name] === wanted[name]);
}

function measure(registry: Registry, census: () => Census): void {
  new Gauge({
    name: 'fleet_ca_certificates',
    help: 'Unrevoked certificates in the ledger that have not ended, by the CA that signed them (its id; empty: nobody knows which)',
    labelNames: ['ca'],
    registers: [registry],
    collect() {
      this.reset();
      for (const [ca, count] of census().byCa) this.set({ ca }, count);
      this.set({ ca: '' }, census().withoutCa);
    },
  });
}
