// What a stranger's certificate says of its hardware, and the DER beneath it: right for what is right, and never a crash for anything else.
import { X509Certificate } from 'node:crypto';
import { AsnConvert } from '@peculiar/asn1-schema';
import { Certificate } from '@peculiar/asn1-x509';
import fc from 'fast-check';
import { describe, expect, it, vi } from 'vitest';
import { elements, oid, TAG, tlv } from './der.ts';
import { factoryFacts, readModuleName } from './factory.ts';
import { createMaker } from './testing/maker.ts';

// On a machine that has other things to do.
vi.setConfig({ testTimeout: 60_000, hookTimeout: 60_000 });

const bytes = fc.uint8Array({ maxLength: 400 }).map((array) => Buffer.from(array));

describe('DER', () => {
  it('is read as it was written', () => {
    fc.assert(
      fc.property(
        fc.array(fc.tuple(fc.constantFrom(2, 4, 6, 0x30, 0x31, 0xa0), fc.uint8Array({ maxLength: 400 })), { maxLength: 4 }),
        (parts) => {
          const read = elements(Buffer.concat(parts.map(([tag, content]) => tlv(tag, content)))) ?? [];
          expect(read.map(({ tag, content }) => [tag, [...content]])).toEqual(parts.map(([tag, content]) => [tag, [...content]]));
        },
      ),
    );
  });

  it('is refused when it is anything else, and read back to the same bytes when it is not', () => {
    fc.assert(
      fc.property(bytes, (given) => {
        const read = elements(given);
        if (read !== undefined) expect(Buffer.concat(read.map(({ tag, content }) => tlv(tag, content))).equals(given)).toBe(true);
      }),
      { numRuns: 10_000 },
    );
  });

  it.each([
    ['a length in more bytes than needed', '048101aa'],
    ['the indefinite length', '3080040100'],
    ['less than its length says', '0405aa'],
    ['a tag in several bytes', '1f810100'],
  ])('with %s is refused', (_name, hex) => expect(elements(Buffer.from(hex, 'hex'))).toBeUndefined());
});

describe('a factory certificate', () => {
  const moduleName = (...parts: Buffer[]): Buffer => tlv(TAG.sequence, ...parts);
  const type = oid('1.3.6.1.4.1.99999.1');
  const serial = (text: string): Buffer => tlv(TAG.octetString, Buffer.from(text));
  it.each([
    ['a HardwareModuleName', moduleName(type, serial('A1B2')), 'A1B2'],
    ['no text', moduleName(type, tlv(TAG.octetString, Buffer.from([0, 1]))), undefined],
    ['an empty serial number', moduleName(type, serial('')), undefined],
    ['more after it', moduleName(type, serial('A'), serial('B')), undefined],
    ['no type', moduleName(serial('A1B2')), undefined],
    ['two of them', Buffer.concat([moduleName(type, serial('A')), moduleName(type, serial('B'))]), undefined],
  ])('with %s', (_name, der, expected) => expect(readModuleName(der)).toBe(expected));

  it('says the serial number of its subject and of its module, which may differ', async () => {
    const maker = await createMaker();
    const facts = async (moduleSerial: string) => factoryFacts(new X509Certificate((await maker.device('A1B2', { moduleSerial })).cert));
    expect(await facts('A1B2')).toEqual({ serialNumber: 'A1B2', hardwareSerial: 'A1B2' });
    expect(await facts('Z9')).toEqual({ serialNumber: 'A1B2', hardwareSerial: 'Z9' });
    expect(factoryFacts(new X509Certificate(maker.caPem))).toEqual({ serialNumber: undefined, hardwareSerial: undefined });
  });

  it('never names another serial number than a library reads, whatever byte is changed', async () => {
    const der = new X509Certificate((await (await createMaker()).device('A1B2')).cert).raw;
    fc.assert(
      fc.property(fc.nat({ max: der.length - 1 }), fc.integer({ min: 1, max: 255 }), (at, change) => {
        const raw = Buffer.from(der);
        raw[at] = (raw[at] ?? 0) ^ change;
        const { serialNumber } = factoryFacts({ raw });
        const byLibrary = serialByLibrary(raw);
        if (serialNumber !== undefined && byLibrary !== undefined) expect(serialNumber).toBe(byLibrary);
      }),
      { numRuns: 2_000 },
    );
  });

  it('of any bytes says nothing and does not throw', () => {
    fc.assert(
      fc.property(bytes, (raw) => {
        readModuleName(raw);
        expect(factoryFacts({ raw })).toEqual({ serialNumber: undefined, hardwareSerial: undefined });
      }),
      { numRuns: 2_000 },
    );
  });
});

function serialByLibrary(der: Buffer): string | undefined {
  try {
    const names = [...AsnConvert.parse(der, Certificate).tbsCertificate.subject].flatMap((values) => [...values]);
    const value = names.find(({ type }) => type === '2.5.4.5')?.value;
    return value?.printableString ?? value?.utf8String;
  } catch {
    return undefined;
  }
}
