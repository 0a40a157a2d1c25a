import { generateKeyPairSync } from 'node:crypto';
import { describe, expect, it } from 'vitest';
import type { DeviceStatus } from '../api/device.ts';
import { bootKeyInvalid, firmwareCurrent } from './firmware.ts';

type Record_ = NonNullable<DeviceStatus['firmware']>[string];
const record = (fields: Partial<Record_> = {}): Record_ => ({
  version: '2.0.0',
  digest: `sha256:${'0'.repeat(64)}`,
  release: 'berlin/pump-2',
  releaseUid: 'u',
  result: 'Confirmed',
  ...fields,
});
const heard: Record_ = { version: '1.0.0', digest: `sha256:${'1'.repeat(64)}` };

describe('FirmwareCurrent', () => {
  it.each([undefined, {}, { app: heard }])('is not said before a release has come to an end: %j', (records) => {
    expect(firmwareCurrent(records)).toBeUndefined();
  });

  it('is True when each component that had a release runs it, and reads the same after the next one', () => {
    const verdict = firmwareCurrent({ app: record(), boot: heard });
    expect(verdict).toMatchObject({ status: 'True', reason: 'Confirmed' });
    expect(firmwareCurrent({ app: record({ version: '3.0.0', release: 'berlin/pump-3' }), radio: record() })).toEqual(verdict);
  });

  it.each(['Rejected', 'Failed', 'RolledBack', 'TimedOut', 'Lost', 'Cancelled', 'Reverted'] as const)(
    'is False when the last attempt ended in %s',
    (result) => {
      const verdict = firmwareCurrent({ app: record({ result, code: 11, version: '1.0.0' }), radio: record() });
      expect(verdict).toEqual({
        status: 'False',
        reason: result,
        message: `app: berlin/pump-2 ended in ${result}, code 11 of the device; it runs 1.0.0`,
      });
    },
  );

  it('names one of several, always the same, and is short whatever there is', () => {
    const records = Object.fromEntries(
      Array.from({ length: 16 }, (_, at) => [
        `c${at}`.padEnd(62, 'x'),
        record({ result: 'Failed', release: 'r'.repeat(317), version: '9'.repeat(64) }),
      ]),
    );
    const verdict = firmwareCurrent(records);
    expect(verdict?.message).toMatch(/^c0x+: .*; 15 more components as well$/);
    expect(verdict?.message.length).toBeLessThan(700);
    expect(firmwareCurrent(Object.fromEntries(Object.entries(records).reverse()))).toEqual(verdict);
  });
});

describe('a boot key', () => {
  const pem = (type: 'ed25519' | 'ec' | 'rsa', curve = 'P-256'): string => {
    const { publicKey } =
      type === 'ed25519'
        ? generateKeyPairSync('ed25519')
        : type === 'ec'
          ? generateKeyPairSync('ec', { namedCurve: curve })
          : generateKeyPairSync('rsa', { modulusLength: 2048 });
    return publicKey.export({ type: 'spki', format: 'pem' }).toString();
  };
  const of = (bootKey?: string) => bootKeyInvalid({ firmware: { hold: false, ...(bootKey === undefined ? {} : { bootKey }) } } as never);

  it.each([undefined, '', pem('ed25519'), pem('ec')])('is in order: %j', (key) => expect(of(key)).toBeUndefined());

  it.each([
    ['on another curve', pem('ec', 'P-384'), 'HR-FW-031'],
    ['of RSA', pem('rsa'), 'HR-FW-031'],
    ['that is none', '-----BEGIN PUBLIC KEY-----\nAAAA\n-----END PUBLIC KEY-----\n', 'HR-FW-030'],
    ['with something behind it', `${pem('ec')}more`, 'HR-FW-030'],
    ['twice', `${pem('ec')}${pem('ec')}`, 'HR-FW-030'],
  ])('%s is refused with a code', (_what, key, code) => {
    expect(of(key)).toMatch(new RegExp(`^${code} \\w+: spec[.]firmware[.]bootKey: .+ Cure: `));
  });
});
