import { X509Certificate } from 'node:crypto';
import { beforeAll, describe, expect, it } from 'vitest';
import { auditEvents } from '../harness/audit.ts';
import { waitFor } from '../harness/wait.ts';
import type { Cluster } from './cluster.ts';
import { ownNamespace, sharedCluster } from './shared.ts';
import {
  apply,
  approve,
  type CertificateRequest,
  get,
  makeApprover,
  makeDeviceIssuer,
  requestFor,
  subjectOf,
  waitForCondition,
} from './testing.ts';

describe('the real cert-manager', () => {
  let cluster: Cluster;
  let namespace: string;
  beforeAll(async () => {
    cluster = await sharedCluster();
    namespace = await ownNamespace(cluster, 'cert-manager');
    await makeDeviceIssuer(cluster, namespace);
  });
  const request = (name: string): Promise<CertificateRequest> => get(cluster, 'certificaterequest', name, '-n', namespace);
  const signer = (): string => `issuers.cert-manager.io/${namespace}.devices`;

  it('signs a request approved by an identity that has the right, and leaves its subject as it was', async () => {
    const approver = await makeApprover(cluster, namespace, 'approver', [signer()]);
    const { manifest } = await requestFor(namespace, 'approved');
    await apply(cluster, [manifest]);
    const { code, stderr } = await approve(cluster, approver, namespace, 'approved');
    expect(stderr).toBe('');
    expect(code).toBe(0);
    await waitForCondition(cluster, 'certificaterequest/approved', namespace, 'Ready');
    const { status, spec } = await request('approved');
    const pem = Buffer.from(status?.certificate ?? '', 'base64').toString('utf8');
    expect(subjectOf(pem)).toBe('O=hedgerow\nOU=office.berlin\nCN=dev-0.berlin');
    const certificate = new X509Certificate(pem);
    expect(certificate.ca).toBe(false);
    // RFC 5280 §4.2.1.12: client authentication.
    expect(certificate.keyUsage).toEqual(['1.3.6.1.5.5.7.3.2']);
    const ca = new X509Certificate(Buffer.from(status?.ca ?? '', 'base64').toString('utf8'));
    expect(certificate.verify(ca.publicKey)).toBe(true);
    // The webhook wrote down who asked.
    expect(spec.username).toBe('admin');
  });

  it('refuses an approval by an identity without the right for this signer', async () => {
    const outsider = await makeApprover(cluster, namespace, 'outsider', [`issuers.cert-manager.io/${namespace}.another`]);
    const { manifest } = await requestFor(namespace, 'refused');
    await apply(cluster, [manifest]);
    const { code, stderr } = await approve(cluster, outsider, namespace, 'refused');
    expect(code).not.toBe(0);
    expect(stderr).toContain(
      `user "system:serviceaccount:${namespace}:outsider" does not have permissions to set approved/denied conditions for issuer`,
    );
    expect((await request('refused')).status?.conditions ?? []).toEqual([]);
  });

  it("does not let cert-manager's own approver approve for an issuer of devices, though it tries", async () => {
    const { manifest } = await requestFor(namespace, 'nobody-approves');
    await apply(cluster, [manifest]);
    const refusal = await waitFor('the built-in approver to be refused', async () => {
      for await (const event of auditEvents(cluster.auditLogFile)) {
        const ours =
          event.objectRef?.name === 'nobody-approves' && event.user?.username === 'system:serviceaccount:cert-manager:cert-manager';
        if (ours && event.objectRef?.subresource === 'status') return event.responseStatus?.code;
      }
      return undefined;
    });
    expect(refusal).toBe(403);
    expect((await request('nobody-approves')).status?.conditions?.filter((condition) => condition.type === 'Approved') ?? []).toEqual([]);
  });

  it('lets it approve for the ClusterIssuers that are not for devices: the root of this namespace exists', async () => {
    const { items } = await get<{ items: CertificateRequest[] }>(cluster, 'certificaterequests', '-n', namespace);
    const approvals = items
      .flatMap((item) => item.status?.conditions ?? [])
      .filter((condition) => condition.type === 'Approved' && condition.reason === 'cert-manager.io');
    expect(approvals).toHaveLength(1);
  });
});
