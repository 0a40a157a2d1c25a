import { describe, expect, it } from 'vitest';
import { approvingRole, openApprovers, type RbacRule, type RbacSubject, signerNames } from './approvers.ts';

const SELF = 'system:serviceaccount:hedgerow:hedgerow-operator';
const CERT_MANAGER: RbacSubject = { kind: 'ServiceAccount', namespace: 'cert-manager', name: 'cert-manager' };
const accepted = new Set([SELF, 'group:system:masters']);

function open(rules: RbacRule[], subjects: RbacSubject[], issuer = 'Issuer/berlin/site-ca'): string[] {
  const role = approvingRole('r', rules);
  return openApprovers(role === undefined ? [] : [role], [{ role: 'r', subjects }], signerNames(issuer), accepted);
}
const approve = (resourceNames?: string[]): RbacRule => ({
  apiGroups: ['cert-manager.io'],
  resources: ['signers'],
  verbs: ['approve'],
  ...(resourceNames === undefined ? {} : { resourceNames }),
});

describe('openApprovers', () => {
  it.each<[string, RbacRule[], string, string[]]>([
    [
      "cert-manager's own default, every Issuer by wildcard, is open",
      [approve(['issuers.cert-manager.io/*', 'clusterissuers.cert-manager.io/*'])],
      'Issuer/berlin/site-ca',
      ['system:serviceaccount:cert-manager:cert-manager'],
    ],
    ['a rule without names is open', [approve()], 'ClusterIssuer//root', ['system:serviceaccount:cert-manager:cert-manager']],
    [
      'the exact name is open',
      [approve(['issuers.cert-manager.io/berlin.site-ca'])],
      'Issuer/berlin/site-ca',
      ['system:serviceaccount:cert-manager:cert-manager'],
    ],
    ['the same name in another namespace is not', [approve(['issuers.cert-manager.io/paris.site-ca'])], 'Issuer/berlin/site-ca', []],
    ['a ClusterIssuer of that name is not', [approve(['clusterissuers.cert-manager.io/site-ca'])], 'Issuer/berlin/site-ca', []],
    ['a prefix with a wildcard means nothing to the webhook', [approve(['issuers.cert-manager.io/berlin.*'])], 'Issuer/berlin/site-ca', []],
    [
      'stars everywhere are open',
      [{ apiGroups: ['*'], resources: ['*'], verbs: ['*'] }],
      'Issuer/berlin/site-ca',
      ['system:serviceaccount:cert-manager:cert-manager'],
    ],
    ['every verb but approve is not', [{ ...approve(), verbs: ['get', 'update', 'patch', 'sign'] }], 'Issuer/berlin/site-ca', []],
    ['signers of the Kubernetes CSR API are others', [{ ...approve(), apiGroups: ['certificates.k8s.io'] }], 'Issuer/berlin/site-ca', []],
  ])('%s', (_, rules, issuer, expected) => expect(open(rules, [CERT_MANAGER], issuer)).toEqual(expected));

  it('accepts the operator and system:masters, and names users and groups as RBAC spells them', () => {
    const subjects: RbacSubject[] = [
      { kind: 'ServiceAccount', namespace: 'hedgerow', name: 'hedgerow-operator' },
      { kind: 'Group', name: 'system:masters' },
      { kind: 'Group', name: 'system:authenticated' },
      { kind: 'User', name: 'alice' },
    ];
    expect(open([approve()], subjects)).toEqual(['alice', 'group:system:authenticated']);
  });

  it('a role that nobody is bound to is not open', () => expect(open([approve()], [])).toEqual([]));
});
