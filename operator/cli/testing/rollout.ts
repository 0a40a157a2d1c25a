// A release in the middle of its rollout, for tests and as the guide shows it; and an API server that holds it.
import type { FirmwareReleaseStatus } from '../../api/firmware-release.ts';
import type { Intervention } from '../../api/intervention.ts';
import type { Condition, ResourceType } from '../../api/meta.ts';
import type { KubeClient } from '../../kube/client.ts';
import { KubeError } from '../../kube/errors.ts';
import type { KubeObject } from '../../kube/object.ts';
import type { Release } from '../rollout-view.ts';
import { ALICE, condition } from './fake-api.ts';

export const NOW = Date.parse('2026-11-26T12:00:00Z');
export const DIGEST = `sha256:${'8a3f0b6c'.repeat(8)}`;
export const AUTHOR = 'system:serviceaccount:argocd:argocd-application-controller';

const SPEC = {
  version: '2.4.0',
  component: 'app',
  securityCounter: 5,
  author: AUTHOR,
  rollout: {
    waves: [
      { name: 'canary', size: '300', soak: '24h', approval: 'None' },
      { name: 'broad', soak: '0s', approval: 'Required', growth: { start: '10%', factor: 2, max: '50%' } },
    ],
    gates: { error: { ratio: '1%', minSample: 20, confidence: '95%' } },
  },
} as unknown as Release['spec'];

/** The canary has done well, and the next wave asks for a person. */
export const WAITING: FirmwareReleaseStatus = {
  observedGeneration: 3,
  phase: 'Waiting',
  currentWave: 'canary',
  artifact: { manifestDigest: DIGEST, signers: ['a', 'b'], trustRootVersion: 2, verifiedAt: '2026-11-25T08:00:00Z' },
  counts: { matched: 10_000, confirmed: 299, failed: 1, reached: 300, waiting: 9_700, unproven: 12 },
  failureEstimate: { point: '0.33%', lower95: '0.017%', upper95: '1.57%' },
  waves: [
    {
      ...{ name: 'canary', phase: 'Completed', target: 300, startedAt: '2026-11-25T08:00:00Z' },
      counts: { reached: 300, confirmed: 299, failed: 1 },
      gate: {
        result: 'Inconclusive',
        reason: '1 of 300 devices went wrong: a failure ratio of 0.017% to 1.57% (each bound at 95%); 1% are allowed',
      },
    },
  ],
  clusters: { total: 12, ready: 11, unreachable: 1 },
  failureSamples: [{ device: 'hamburg/cam-17', code: 'SelfTest', wave: 'canary', time: '2026-11-25T08:31:07Z' }],
  rollback: { possible: true },
  conditions: [
    condition(
      'Approved',
      'False',
      'ApprovalNeeded',
      'the gate of wave canary cannot tell: kubectl hedgerow rollout approve, by somebody else than the author',
    ),
    condition('Progressing', 'False', 'Waiting', 'the gate of wave canary cannot tell: 1 of 300 devices went wrong'),
  ],
};

export function releaseOf(status: FirmwareReleaseStatus | undefined = WAITING, spec: Partial<Release['spec']> = {}): Release {
  const metadata = { name: 'cam-2-4-0', namespace: 'berlin', uid: 'uid-cam', generation: 3, resourceVersion: '7' };
  return { metadata, spec: { ...SPEC, ...spec }, ...(status === undefined ? {} : { status }) };
}

/** With other conditions, by type. */
export function withConditions(status: FirmwareReleaseStatus, ...conditions: Condition[]): FirmwareReleaseStatus {
  const others = (status.conditions ?? []).filter(({ type }) => !conditions.some((one) => one.type === type));
  return { ...status, conditions: [...others, ...conditions] };
}

export function pauseBy(requestedBy: string, more: Partial<Intervention['spec']> = {}): Intervention {
  return {
    ...{ apiVersion: '', kind: 'Intervention', metadata: { name: 'cam-2-4-0-pause-x7k2p', namespace: 'berlin', uid: 'uid-pause' } },
    spec: {
      target: { kind: 'FirmwareRelease', name: 'cam-2-4-0' },
      action: 'Pause',
      requestedBy,
      reason: 'reboots seen in Hamburg',
      ...more,
    },
  };
}

/** Watches give one event for each release of `later`. */
export class RolloutApi {
  release: Release | undefined;
  readonly interventions: Intervention[];
  readonly made: Intervention[] = [];
  readonly forbidden = new Set<string>();
  later: (Release | undefined)[] = [];

  constructor(release: Release | undefined = releaseOf(), interventions: Intervention[] = []) {
    this.release = release;
    this.interventions = interventions;
  }

  readonly client = {
    get: async () => structuredClone(this.release),
    list: async (type: ResourceType) => {
      this.#judge('list', type);
      return structuredClone(this.interventions);
    },
    listPage: async () => ({ items: this.release === undefined ? [] : [structuredClone(this.release)], resourceVersion: '7' }),
    watch: async (_type: ResourceType, _query: unknown, signal?: AbortSignal) => this.#events(signal),
    create: async (type: ResourceType, object: KubeObject) => {
      this.#judge('create', type);
      const made = { ...object, metadata: { ...object.metadata, name: `${object.metadata.generateName}x7k2p` } } as Intervention;
      this.made.push(made);
      return structuredClone(made);
    },
    delete: async (_type: ResourceType, { name }: { name: string }) => {
      const at = this.interventions.findIndex(({ metadata }) => metadata.name === name);
      this.interventions.splice(at, 1);
      return true;
    },
    raw: async () => ({ status: { userInfo: { username: ALICE } } }),
  } as unknown as KubeClient;

  async *#events(signal: AbortSignal | undefined): AsyncGenerator<Buffer> {
    const line = (type: string, object: unknown): Buffer => Buffer.from(`${JSON.stringify({ type, object })}\n`);
    yield line('ADDED', this.release);
    yield line('BOOKMARK', { metadata: { resourceVersion: '7', annotations: { 'k8s.io/initial-events-end': 'true' } } });
    for (const [at, next] of this.later.splice(0).entries()) {
      await new Promise((resolve) => setTimeout(resolve, 20));
      const last = this.release;
      this.release = next;
      const metadata = { ...(next ?? last)?.metadata, resourceVersion: String(8 + at) };
      yield line(next === undefined ? 'DELETED' : 'MODIFIED', { ...(next ?? last), metadata });
    }
    if (signal?.aborted !== true) await new Promise((resolve) => signal?.addEventListener('abort', resolve, { once: true }));
  }

  #judge(verb: string, type: ResourceType): void {
    if (!this.forbidden.has(`${verb} ${type.plural}`)) return;
    throw new KubeError({ status: 403, reason: 'Forbidden', message: `User "${ALICE}" cannot ${verb} resource "${type.plural}"` });
  }
}
