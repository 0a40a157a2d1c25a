import { describe, expect, it } from 'vitest';
import { parseRolloutOptions } from './options.ts';

const PIN = 'ab'.repeat(32);
const GIVEN: Readonly<Record<string, string>> = {
  ...{
    wave: 'berlin/cam-0',
    'broker-mqtt': 'broker:8883',
    'mqtt-issuer': 'Issuer/devices',
    'directive-issuer': 'ClusterIssuer/directives',
  },
  ...{ 'artifacts-url': 'https://artifacts:443/', 'firmware-root': PIN },
};
const parsed = (change: Record<string, string | undefined>, env: Record<string, string> = {}) =>
  parseRolloutOptions(
    Object.entries({ ...GIVEN, ...change }).flatMap(([flag, value]) => (value === undefined ? [] : [`--${flag}=${value}`])),
    (name) => env[name],
  );

describe('the flags of operator rollout', () => {
  it('are those of its Job, and the shard is the index of its pod', () => {
    expect(parsed({}, { JOB_COMPLETION_INDEX: '3' })).toMatchObject({
      kind: 'options',
      options: {
        ...{ wave: { namespace: 'berlin', name: 'cam-0' }, shard: 3, host: 'broker', port: 8883, roots: [PIN] },
        artifactsUrl: 'https://artifacts:443',
        mqttIssuer: { kind: 'Issuer', name: 'devices' },
        directiveIssuer: { kind: 'ClusterIssuer', name: 'directives' },
      },
    });
  });

  it.each(['Issuer/devices', 'Issuer/hedgerow-system/devices'])('%s is an Issuer of the operator’s namespace', (issuer) => {
    expect(parsed({ 'mqtt-issuer': issuer })).toMatchObject({ options: { mqttIssuer: { kind: 'Issuer', name: 'devices' } } });
  });

  it.each([
    [{ wave: 'cam-0' }, /expected NAMESPACE\/NAME/],
    [{ wave: undefined }, /--wave is needed/],
    [{ 'mqtt-issuer': 'Issuer/a/b/c' }, /expected ClusterIssuer\/NAME or Issuer\/NAME/],
    [{ 'directive-issuer': 'devices' }, /expected ClusterIssuer\/NAME or Issuer\/NAME/],
    [{ 'artifacts-url': 'http://artifacts' }, /expected https:/],
    [{ 'firmware-root': 'ABC' }, /64 hexadecimal digits/],
    [{ 'firmware-root': undefined }, /--firmware-root is needed/],
    [{ shard: '12' }, /expected a number up to 11/],
    [{ 'broker-mqtt': 'broker' }, /is not HOST:PORT/],
  ])('%j is refused', (change, message) => {
    expect(parsed(change)).toMatchObject({ kind: 'wrong', message: expect.stringMatching(message) });
  });
});
