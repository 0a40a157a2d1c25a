import { describe, expect, it } from 'vitest';
import { GATEWAY_HELP, parseGatewayOptions } from './options.ts';

const LEAST = [
  ...['--broker', 'emqx:8883', '--broker-ca-file', 'ca', '--broker-cert-file', 'crt', '--broker-key-file', 'key'],
  ...['--config-file', 'gateway.json', '--state-dir', '/state'],
];
const UPLINK = ['--uplink', 'cloud.example.org:8883', '--uplink-ca-file', 'ca', '--uplink-cert-file', 'crt', '--uplink-key-file', 'key'];
const COAP = ['--coap-port', '5684', '--coap-ca-file', 'ca', '--coap-cert-file', 'crt', '--coap-key-file', 'key'];

describe('the flags of the gateway', () => {
  it('need a broker, a configuration and a place for the state; nothing leaves without an uplink', () => {
    expect(parseGatewayOptions(LEAST)).toMatchObject({
      kind: 'options',
      options: {
        broker: { host: 'emqx', port: 8883, caFile: 'ca', certFile: 'crt', keyFile: 'key' },
        devices: { kind: 'cluster', kubeconfig: undefined },
        uplink: undefined,
        coap: undefined,
        spoolBytes: 256 * 2 ** 20,
      },
    });
    expect(parseGatewayOptions([...LEAST, ...UPLINK, ...COAP])).toMatchObject({
      options: { uplink: { host: 'cloud.example.org', perSecond: 500 }, coap: { port: 5684, crlFiles: [] } },
    });
  });

  it.each([
    ['without a broker', LEAST.slice(2), /--broker is required/],
    ['without its key', LEAST.filter((one) => one !== '--broker-key-file' && one !== 'key'), /--broker-key-file is required/],
    ['with a broker without a port', ['--broker', 'emqx', ...LEAST.slice(2)], /HOST:PORT/],
    ['with two sources of devices', [...LEAST, '--devices-file', 'd', '--kubeconfig', 'k'], /leave out --kubeconfig/],
    ['with half an uplink', [...LEAST, ...UPLINK.slice(0, 4)], /--uplink-cert-file is required/],
    ['with the rate of no uplink', [...LEAST, '--uplink-rate', '5'], /need --uplink/],
    ['with a certificate of no CoAP', [...LEAST, '--coap-cert-file', 'c'], /need --coap-port/],
    ['with a spool of no size', [...LEAST, '--spool-bytes', '12'], /no size/],
    ['with no devices at all', [...LEAST, '--max-devices', '0'], /whole number/],
    ['with a flag that there is not', [...LEAST, '--turbo'], /turbo/],
  ])('are refused %s', (_, argv, message) => {
    expect(parseGatewayOptions(argv)).toMatchObject({ kind: 'wrong', message: expect.stringMatching(message) });
  });

  it('are all in the help, and no others', () => {
    const known = [...GATEWAY_HELP.matchAll(/^ {2}(--[a-z-]+)/gm)].map(([, flag]) => flag);
    expect(parseGatewayOptions(['--help']).kind).toBe('help');
    for (const flag of known.filter((one) => one !== '--help'))
      expect(parseGatewayOptions([`${flag}=1`]), flag).not.toMatchObject({ message: expect.stringContaining('Unknown option') });
    expect(new Set(known).size).toBe(known.length);
  });
});
