// A CRL of 100,000 entries: from the ledger to signed bytes, and what openssl makes of the same entries.
import { statSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import type { CertificateLedger } from '../../operator/api/certificate-ledger.ts';
import { makeList } from '../../operator/crl/publisher.ts';
import { Revocations } from '../../operator/crl/revocations.ts';
import { authorityOf, type Ca, KEYS, makeCa, makeLeaf, verdict } from '../../operator/crl/testing/ca.ts';
import { revocationsOf } from '../../operator/identity/identity.ts';
import { OpenSsl } from '../../operator/identity/testing/openssl.ts';
import type { Bench } from './figure.ts';

const ENTRIES = 100_000;
const PAGE = 512;
const ISSUER = 'Issuer/berlin/devices';
const DAY_MS = 86_400_000;
const WEEK_MS = 7 * DAY_MS;

export const crlBench: Bench = {
  name: 'crl',
  about: `a CRL of ${ENTRIES} entries: time and size, beside openssl ca -gencrl of the same entries`,
  async *run({ n = ENTRIES, progress }) {
    using ssl = new OpenSsl();
    const ca = makeCa(ssl, KEYS['P-256']);
    const authority = authorityOf(ca);
    const serials = Array.from({ length: n }, (_, at) => `5a${at.toString(16).padStart(38, '0')}`);
    progress(`${n} revoked certificates on ${Math.ceil(n / PAGE)} pages of the ledger`);
    const pages = ledgerPages(serials);
    const revocations = new Revocations(DAY_MS);
    const now = Date.now();

    const [, readMs] = await timed(() => {
      for (const page of pages) revocations.take(revocationsOf(page).revoked, now);
    });
    yield { figure: 'read-ledger', value: readMs / 1000, unit: 's', n };
    const first = { now, validityMs: WEEK_MS, previous: undefined };
    const [list, writeMs] = await timed(() => makeList(authority, revocations.entries(ISSUER, now), first));

    if (list.entries !== n) throw new Error(`${list.entries} entries of ${n}`);

    progress('openssl ca -gencrl of the same entries');
    const theirs = await opensslList(ssl, ca, serials);
    yield { figure: 'write', value: writeMs / 1000, unit: 's', n, reference: 'openssl ca -gencrl', referenceValue: theirs.ms / 1000 };
    yield { figure: 'size-der', value: list.der.length, unit: 'bytes', n, reference: 'openssl ca -gencrl', referenceValue: theirs.bytes };

    const one = { issuer: ISSUER, serial: '5b01', notAfterMs: now + WEEK_MS, revokedAtMs: now, reason: 'Revoked' } as const;
    const [next, againMs] = await timed(() => {
      revocations.take([one], now);
      return makeList(authority, revocations.entries(ISSUER, now), { now, validityMs: WEEK_MS, previous: list });
    });
    yield { figure: 'write-after-one-revocation', value: againMs / 1000, unit: 's', n };

    progress('openssl reads it');
    const file = ssl.write(next.pem.toString('latin1'));
    const [, parseMs] = await timed(() => ssl.run(['crl', '-in', file, '-noout', '-verify', '-CAfile', ca.file]));
    yield { figure: 'openssl-crl-verify', value: parseMs / 1000, unit: 's', n };
    const verdicts = ['5b01', serials[n >> 1] ?? '', '5b02'].map((serial) => verdict(ssl, ca, next.pem, makeLeaf(ssl, ca, serial)));
    if (verdicts.join() !== 'certificate revoked,certificate revoked,OK')
      throw new Error(`openssl verify -crl_check says: ${verdicts.join()}`);
    yield { figure: 'openssl-verify-agrees', value: verdicts.length, unit: 'certificates', n };
  },
};

async function timed<T>(work: () => T): Promise<[T, number]> {
  const startedAt = performance.now();
  const result = work();
  return [result, performance.now() - startedAt];
}

function ledgerPages(serials: readonly string[]): CertificateLedger[] {
  const revoked = { at: new Date(Date.now() - DAY_MS).toISOString(), reason: 'Revoked', by: 'spec.lifecycle' };
  const entry = (serial: string, at: number): [string, string] => {
    const sha256 = at.toString(16).padStart(32, '0').padEnd(64, 'a');
    const device = { device: `device-${at}.berlin`, deviceUid: `uid-${at}`, segment: 'office.berlin', issuer: ISSUER };
    const times = { notBefore: new Date(Date.now() - DAY_MS).toISOString(), notAfter: new Date(Date.now() + 30 * DAY_MS).toISOString() };
    const hashes = { md5: 'b'.repeat(32), sha256, spki: 'c'.repeat(64) };
    return [sha256.slice(0, 32), JSON.stringify({ ...device, serial, ...hashes, ...times, via: 'CSR', revoked })];
  };
  return Array.from({ length: Math.ceil(serials.length / PAGE) }, (_, page) => ({
    apiVersion: 'hedgerow.dev/v1alpha1',
    kind: 'CertificateLedger',
    metadata: { name: `ledger-${page}`, namespace: 'hedgerow-system' },
    spec: {
      entries: Object.fromEntries(serials.slice(page * PAGE, (page + 1) * PAGE).map((serial, at) => entry(serial, page * PAGE + at))),
    },
  }));
}

/** openssl's own CA with the same entries in its index: reading them, writing and signing the list. */
async function opensslList(ssl: OpenSsl, ca: Ca, serials: readonly string[]): Promise<{ ms: number; bytes: number }> {
  const line = (serial: string): string => `R\t270101000000Z\t261101000000Z,cessationOfOperation\t${serial.toUpperCase()}\tunknown\t/CN=x`;
  writeFileSync(join(ssl.dir, 'index.txt'), `${serials.map(line).join('\n')}\n`);
  writeFileSync(join(ssl.dir, 'index.txt.attr'), 'unique_subject = no\n');
  writeFileSync(join(ssl.dir, 'crlnumber'), '01\n');
  const sections = [
    '[ca]',
    'default_ca = x',
    '[x]',
    'database = index.txt',
    'crlnumber = crlnumber',
    'default_md = sha256',
    'crl_extensions = e',
    '[e]',
    'authorityKeyIdentifier = keyid',
  ];
  const config = ssl.write(`${sections.join('\n')}\n`);
  const args = ['ca', '-gencrl', '-config', config, '-keyfile', ca.keyFile, '-cert', ca.file, '-crldays', '7', '-out', 'theirs.pem'];
  const [, ms] = await timed(() => ssl.run(args));
  ssl.run(['crl', '-in', 'theirs.pem', '-outform', 'DER', '-out', 'theirs.crl']);
  return { ms, bytes: statSync(join(ssl.dir, 'theirs.crl')).size };
}
