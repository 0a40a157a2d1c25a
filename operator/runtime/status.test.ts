import { describe, expect, it } from 'vitest';
import { DEVICES } from '../api/resources.ts';
import type { KubeClient } from '../kube/client.ts';
import { KubeError } from '../kube/errors.ts';
import { createExpectations } from './expectations.ts';
import { type StatusTarget, writeStatus } from './status.ts';

type Call = { path: string; body: unknown; options: unknown };

/** Takes one patch after the other; an error instead of an answer is thrown. */
function server(...answers: (string | Error)[]) {
  const calls: Call[] = [];
  const client: Pick<KubeClient, 'mergePatch'> = {
    mergePatch: async (type, ref, body, options) => {
      calls.push({ path: `${type.plural}/${ref.namespace}/${ref.name}/${options?.subresource}`, body, options });
      const answer = answers.shift() ?? '2';
      if (answer instanceof Error) throw answer;
      return { metadata: { name: ref.name, resourceVersion: answer } } as never;
    },
  };
  return { client, calls };
}

const target = (status: object | undefined): StatusTarget => ({
  ref: { namespace: 'berlin', name: 'd1' },
  uid: 'u1',
  status,
  resourceVersion: '1',
});
const refused = (status: number, reason: string, message = 'm') => new KubeError({ status, reason, message });

describe('writeStatus', () => {
  it('asks nothing of the API server when nothing changed, whatever the order of the fields', async () => {
    const { client, calls } = server();
    const status = { observedGeneration: 1, conditions: [{ type: 'Ready', status: 'True' }] };
    const same = { conditions: [{ status: 'True', type: 'Ready' }], observedGeneration: 1, certificate: undefined };
    expect(await writeStatus(client, DEVICES, target(status), same)).toBe('unchanged');
    expect(await writeStatus(client, DEVICES, target(undefined), {})).toBe('unchanged');
    expect(calls).toEqual([]);
  });

  it('sends only what differs, to the status, for the version that was looked at', async () => {
    const { client, calls } = server();
    const before = { observedGeneration: 1, certificate: 'PEM', identity: { serialNumber: 'a', issuer: 'i' } };
    const next = { observedGeneration: 2, identity: { serialNumber: 'b', issuer: 'i' } };
    expect(await writeStatus(client, DEVICES, target(before), next, { fieldManager: 'hedgerow' })).toBe('written');
    expect(calls).toEqual([
      {
        path: 'devices/berlin/d1/status',
        body: { metadata: { resourceVersion: '1' }, status: { certificate: null, observedGeneration: 2, identity: { serialNumber: 'b' } } },
        options: { subresource: 'status', fieldManager: 'hedgerow' },
      },
    ]);
  });

  it('lets the next reconcile know that the store is old until it shows the write', async () => {
    const { client } = server('7');
    const expectations = createExpectations();
    await writeStatus(client, DEVICES, target({}), { observedGeneration: 1 }, { expectations });
    expect(expectations.stale('berlin/d1', { uid: 'u1', resourceVersion: '1' })).toBe(true);
    expect(expectations.stale('berlin/d1', { uid: 'u1', resourceVersion: '7' })).toBe(false);
  });

  it('says that the object is gone when it is no more', async () => {
    const { client } = server(refused(404, 'NotFound'));
    const expectations = createExpectations();
    expect(await writeStatus(client, DEVICES, target({}), { observedGeneration: 1 }, { expectations })).toBe('gone');
    expect(expectations.size).toBe(0);
  });

  it.each<[string, Error]>([
    ['a refusal', refused(403, 'Forbidden')],
    ['another invalid field', refused(422, 'Invalid', 'status.identity.serialNumber: Invalid value')],
    ['a conflict: it was changed, or made again under its name', refused(409, 'Conflict', 'the object has been modified')],
    ['no answer', refused(0, 'NetworkError')],
    ['an abort', new Error('the process stops')],
  ])('throws %s', async (_name, error) => {
    await expect(writeStatus(server(error).client, DEVICES, target({}), { observedGeneration: 1 })).rejects.toBe(error);
  });
});
