// What a factory certificate (IDevID, IEEE 802.1AR) says of the hardware. Pure; it reads what strangers send.
import type { X509Certificate } from 'node:crypto';
import { certificateParts, inside, oidContent } from './certificate-der.ts';
import { elements, TAG } from './der.ts';

export type FactoryFacts = {
  /** serialNumber (2.5.4.5) of the subject; undefined unless there is exactly one. */
  serialNumber: string | undefined;
  /** hwSerialNum of the one HardwareModuleName (RFC 4108 §5) among the alternative names, as text; undefined unless there is exactly one. */
  hardwareSerial: string | undefined;
};

const SERIAL_NUMBER = oidContent('2.5.4.5');
const ALTERNATIVE_NAME = oidContent('2.5.29.17');
const HARDWARE_MODULE_NAME = oidContent('1.3.6.1.5.5.7.8.4');
const PRINTABLE_STRING = 0x13;
const UTF8_STRING = 0x0c;
const OTHER_NAME = TAG.explicit0;

/** Never throws. */
export function factoryFacts(certificate: Pick<X509Certificate, 'raw'>): FactoryFacts {
  try {
    const { subject, extensions } = certificateParts(certificate.raw);
    const serials = inside(subject)
      .flatMap((names) => inside(names.content))
      .map((name) => inside(name.content))
      .filter(([type]) => type?.content.toString('hex') === SERIAL_NUMBER);
    const alternatives = extensions.filter(({ oid }) => oid === ALTERNATIVE_NAME);
    return {
      serialNumber: serials.length === 1 ? textOf(serials[0]?.[1]) : undefined,
      hardwareSerial: alternatives.length === 1 ? hardwareSerialOf(alternatives[0]?.value) : undefined,
    };
  } catch {
    return { serialNumber: undefined, hardwareSerial: undefined };
  }
}

function textOf(value: { tag: number; content: Buffer } | undefined): string | undefined {
  return value?.tag === PRINTABLE_STRING || value?.tag === UTF8_STRING ? ascii(value.content) : undefined;
}

function ascii(bytes: Buffer): string | undefined {
  const text = bytes.toString('latin1');
  return /^[\x20-\x7e]+$/.test(text) ? text : undefined;
}

function hardwareSerialOf(extension: Buffer | undefined): string | undefined {
  const [names, ...after] = inside(extension);
  if (after.length > 0) return undefined;
  // OtherName ::= SEQUENCE { type-id OBJECT IDENTIFIER, value [0] EXPLICIT ANY }, under the tag of the choice.
  const modules = inside(names?.content)
    .filter(({ tag }) => tag === OTHER_NAME)
    .map(({ content }) => inside(content))
    .filter(([type]) => type?.content.toString('hex') === HARDWARE_MODULE_NAME);
  const value = modules[0]?.[1];
  return modules.length === 1 && value?.tag === TAG.explicit0 ? readModuleName(value.content) : undefined;
}

/** HardwareModuleName ::= SEQUENCE { hwType OBJECT IDENTIFIER, hwSerialNum OCTET STRING } */
export function readModuleName(der: Buffer): string | undefined {
  const [sequence, ...after] = elements(der) ?? [];
  if (sequence?.tag !== TAG.sequence || after.length > 0) return undefined;
  const [type, serial, ...more] = elements(sequence.content) ?? [];
  if (type?.tag !== TAG.oid || serial?.tag !== TAG.octetString || more.length > 0) return undefined;
  return ascii(serial.content);
}
