// The flags of `operator crl`.
import { describe, expect, it } from 'vitest';
import { CRL_HELP, parseCrlOptions } from './options.ts';

describe('the flags of operator crl', () => {
  it('have defaults', () => {
    expect(parseCrlOptions([])).toEqual({
      kind: 'options',
      options: {
        kubeconfig: undefined,
        namespace: undefined,
        issuers: [],
        clusterResourceNamespace: 'cert-manager',
        validityMs: 604_800_000,
        host: '',
        port: 8081,
        metricsHost: '',
        metricsPort: 8080,
        logLevel: 'info',
      },
    });
  });

  it('name issuers as the ledger does', () => {
    const parsed = parseCrlOptions(['--issuer', 'Issuer/berlin/devices', '--issuer=ClusterIssuer/fleet', '--validity=720h']);
    expect(parsed).toMatchObject({ options: { issuers: ['Issuer/berlin/devices', 'ClusterIssuer//fleet'], validityMs: 30 * 86_400_000 } });
  });

  it.each([
    [['--issuer', 'devices'], /expected Issuer\/NAMESPACE\/NAME/],
    [['--issuer', 'ClusterIssuer/a/b'], /expected Issuer\/NAMESPACE\/NAME/],
    [['--validity', '60m'], /from 2h/],
    [['--validity', 'a week'], /from 2h/],
    [['--port', '70000'], /expected a port/],
    [['--log-level', 'loud'], /expected debug/],
    [['--key-file', 'x'], /Unknown option/],
    [['extra'], /Unexpected argument/],
  ])('%j are refused', (argv, message) =>
    expect(parseCrlOptions(argv)).toMatchObject({ kind: 'wrong', message: expect.stringMatching(message) }),
  );

  it('are all in the help', () => {
    expect(parseCrlOptions(['--help'])).toEqual({ kind: 'help' });
    for (const flag of ['issuer', 'validity', 'port', 'cluster-resource-namespace', 'metrics-port'])
      expect(CRL_HELP).toContain(`--${flag} `);
  });
});
