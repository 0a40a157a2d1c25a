import { createPublicKey, X509Certificate } from 'node:crypto';
import { describe, expect, it } from 'vitest';
import { readVectors } from '../../test/simulator/firmware/vectors/vectors.ts';
import { hearState, openOf, standingOf } from './accept.ts';
import { isSignedBy, readEnvelope } from './dsse.ts';
import { readBounded } from './json.ts';
import { isDirective } from './messages.ts';
import { readHello, readState } from './report.ts';

const { device, ...vectors } = readVectors();

describe('the test vectors, as the driver reads them', () => {
  it.each(vectors.states.map((one) => [one.name, one] as const))('state: %s', (_, { message, verdict }) => {
    const read = readState(device, Buffer.from(message));
    expect(read.ok ? 'ok' : read.problem.code).toBe(verdict);
  });

  it.each(vectors.hellos.map((one) => [one.name, one] as const))('hello: %s', (_, { message, verdict }) => {
    const read = readHello(device, Buffer.from(message));
    expect(read.ok ? 'ok' : read.problem.code).toBe(verdict);
  });

  it.each(vectors.confirmations.map((one) => [one.name, one] as const))('Confirmed: %s', (_, { message, verdict }) => {
    const key = createPublicKey({ key: Buffer.from(vectors.bootKey, 'base64'), format: 'der', type: 'spki' });
    if (!isDirective(vectors.directive)) throw new Error('the directive of the vectors has not the form of one');
    const open = openOf(vectors.directive, 3);
    const read = readState(device, Buffer.from(message));
    if (!read.ok) throw new Error(read.problem.code);
    const { standing, verdict: word } = hearState(open, standingOf(open), read.message, key);
    expect(word.result === 'Refused' ? word.problem.code : standing.proof).toBe(verdict);
  });

  it.each(vectors.directives.map((one) => [one.name, one] as const))(
    'directive: %s: has the form and the signature of one, unless that is what is wrong',
    (_, { envelope, why }) => {
      const read = readEnvelope(Buffer.from(envelope), 16_384);
      const [signature] = read?.signatures ?? [];
      const leaf = signature?.x5c?.[0];
      if (read === undefined || signature === undefined || leaf === undefined) throw new Error('no envelope with a certificate');
      expect(isSignedBy(read, signature, new X509Certificate(leaf).publicKey)).toBe(why !== 'signature');
      if (why !== 'signature') expect(isDirective(readBounded(read.payload, 4096)) || why === 'form').toBe(true);
    },
  );
});
