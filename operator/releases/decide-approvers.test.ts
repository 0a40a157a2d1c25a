import { describe, expect, it } from 'vitest';
import { type IssuerApprovers, openApproversText } from './decide-approvers.ts';
import { explain } from './errors.ts';

const directive = (...who: string[]): IssuerApprovers => ({ issuer: 'Issuer/hedgerow-system/directives', who });
const mqtt = (...who: string[]): IssuerApprovers => ({ issuer: 'ClusterIssuer/devices', who });

describe('who else may approve for drivers', () => {
  it.each<[says: string, issuers: IssuerApprovers[], expected: string | undefined]>([
    ['nobody, where each issuer has nobody', [directive(), mqtt()], undefined],
    ['nobody, where there is no issuer', [], undefined],
    ['one, by name and issuer', [directive('alice'), mqtt()], 'alice may approve requests to Issuer/hedgerow-system/directives'],
    [
      'the issuer of MQTT clients counts as well',
      [directive(), mqtt('group:ops')],
      'group:ops may approve requests to ClusterIssuer/devices',
    ],
    [
      'both, each with its own',
      [directive('alice'), mqtt('bob')],
      'alice may approve requests to Issuer/hedgerow-system/directives; bob may approve requests to ClusterIssuer/devices',
    ],
    [
      'of many the first, and how many more',
      [directive('a', 'b', 'c', 'd', 'e')],
      'a, b, c and 2 more may approve requests to Issuer/hedgerow-system/directives',
    ],
  ])('%s', (_, issuers, expected) => expect(openApproversText(issuers)).toBe(expected));

  it('leaves room for the cure in a condition', () => {
    const certManager = 'system:serviceaccount:cert-manager:cert-manager';
    const text = openApproversText([directive(certManager), mqtt(certManager)]) ?? '';
    expect(explain('HR-FW-211', text).length).toBeLessThanOrEqual(512);
  });
});
