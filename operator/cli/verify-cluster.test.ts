// The same questions to an API server: what it lists is what is asked, and what may not be listed is named.
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { createServer, type Server } from 'node:http';
import type { AddressInfo } from 'node:net';
import { tmpdir } from 'node:os';
import { join, resolve } from 'node:path';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { parseAllDocuments } from 'yaml';
import { can } from './can.ts';
import { diff } from './reach-diff.ts';
import { typed } from './testing/heard.ts';

const EXAMPLE = resolve(import.meta.dirname, '../../examples/gitops');
const PLURALS: Record<string, string> = { Namespace: 'namespaces', SegmentPolicy: 'segmentpolicies', Device: 'devices' };
type Listed = { kind: string; apiVersion: string };

let dir: string;
let server: Server;
let kubeconfig: string;
const forbidden = new Set<string>();

beforeEach(async () => {
  dir = mkdtempSync(join(tmpdir(), 'hedgerow-verify-'));
  forbidden.clear();
  const files = ['namespaces', 'sensors', 'gateways', 'cameras', 'paris', 'devices'].map((file) => join(EXAMPLE, 'main', `${file}.yaml`));
  const objects = files.flatMap((file) => parseAllDocuments(readFileSync(file, 'utf8')).map((document) => document.toJS() as Listed));
  server = createServer((request, response) => {
    const plural = new URL(request.url ?? '', 'http://localhost').pathname.split('/').pop() ?? '';
    response.setHeader('content-type', 'application/json');
    if (forbidden.has(plural)) {
      response.statusCode = 403;
      response.end(JSON.stringify({ kind: 'Status', code: 403, reason: 'Forbidden', message: `cannot list resource "${plural}"` }));
      return;
    }
    // A typed list leaves out kind and apiVersion of its items.
    const items = objects.flatMap(({ kind, apiVersion: _, ...item }) => (PLURALS[kind] === plural ? [item] : []));
    response.end(JSON.stringify({ metadata: { resourceVersion: '1' }, items }));
  });
  await new Promise<void>((listening) => server.listen(0, '127.0.0.1', listening));
  kubeconfig = join(dir, 'kubeconfig');
  const cluster = { server: `http://127.0.0.1:${(server.address() as AddressInfo).port}`, 'insecure-skip-tls-verify': true };
  const context = { cluster: 'c', user: 'u', namespace: 'berlin' };
  writeFileSync(
    kubeconfig,
    JSON.stringify({
      ...{ apiVersion: 'v1', kind: 'Config', 'current-context': 'c', contexts: [{ name: 'c', context }] },
      ...{ clusters: [{ name: 'c', cluster }], users: [{ name: 'u', user: { token: 'x' } }] },
    }),
  );
});
afterEach(async () => {
  server.closeAllConnections();
  await new Promise((closed) => server.close(closed));
  rmSync(dir, { recursive: true, force: true });
});

describe('asked of a cluster', () => {
  it('names are those of the current namespace, and the proof has no files', async () => {
    const { out, err, code } = await typed(can, 'can', 'thermo-1', 'gate-1', '--kubeconfig', kubeconfig);
    expect(out).toContain('yes: Device berlin/thermo-1 -> Device berlin/gate-1\n');
    expect(out).toContain('1. SegmentPolicy berlin/sensors, spec.conduits[0]: to-gateway to berlin/gateways: TCP 8883\n');
    expect([err, code]).toEqual(['', 0]);
  });

  it('what a checkout would change in the cluster', async () => {
    const changed = await typed(diff, 'diff', 'cluster', join(EXAMPLE, 'pull-request'), '--kubeconfig', kubeconfig);
    expect(changed).toEqual({ out: '+ berlin/sensors -> 0.0.0.0/0 : TCP 443\n', err: '', code: 1 });
    expect((await typed(diff, 'diff', 'cluster', join(EXAMPLE, 'main'), '--kubeconfig', kubeconfig)).code).toBe(0);
  });

  it('what may not be listed is named, and the answer is none to rely on', async () => {
    forbidden.add('networkpolicies');
    const { err, code } = await typed(can, 'can', 'thermo-1', 'gate-1', '--kubeconfig', kubeconfig);
    expect(err).toContain('HR-CLI-063: you may not list networkpolicies');
    expect(code).toBe(2);
  });
});
