// What a factory certificate (IDevID, IEEE 802.1AR) says of the hardware. Pure; it reads what strangers send.
import type { X509Certificate } from 'node:crypto';
import { AsnConvert } from '@peculiar/asn1-schema';
import { Certificate, SubjectAlternativeName } from '@peculiar/asn1-x509';
import { elements, TAG } from './der.ts';

export type FactoryFacts = {
  /** serialNumber (2.5.4.5) of the subject; undefined unless there is exactly one. */
  serialNumber: string | undefined;
  /** hwSerialNum of the one HardwareModuleName (RFC 4108 §5) among the alternative names, as text; undefined unless there is exactly one. */
  hardwareSerial: string | undefined;
};

const SERIAL_NUMBER = '2.5.4.5';
const ALTERNATIVE_NAME = '2.5.29.17';
const HARDWARE_MODULE_NAME = '1.3.6.1.5.5.7.8.4';

/** Never throws. */
export function factoryFacts(certificate: Pick<X509Certificate, 'raw'>): FactoryFacts {
  try {
    const { tbsCertificate } = AsnConvert.parse(certificate.raw, Certificate);
    const serials = [...tbsCertificate.subject].flatMap((names) => [...names]).filter((name) => name.type === SERIAL_NUMBER);
    const value = serials[0]?.value;
    const alternatives = [...(tbsCertificate.extensions ?? [])].filter((extension) => extension.extnID === ALTERNATIVE_NAME);
    return {
      serialNumber: serials.length === 1 ? (value?.printableString ?? value?.utf8String) : undefined,
      hardwareSerial:
        alternatives.length === 1 ? hardwareSerialOf(Buffer.from(alternatives[0]?.extnValue.buffer ?? new ArrayBuffer(0))) : undefined,
    };
  } catch {
    return { serialNumber: undefined, hardwareSerial: undefined };
  }
}

function hardwareSerialOf(extension: Buffer): string | undefined {
  const names = [...AsnConvert.parse(extension, SubjectAlternativeName)].flatMap((name) => name.otherName ?? []);
  const modules = names.filter((name) => name.typeId === HARDWARE_MODULE_NAME);
  return modules.length === 1 ? readModuleName(Buffer.from(modules[0]?.value ?? new ArrayBuffer(0))) : undefined;
}

/** HardwareModuleName ::= SEQUENCE { hwType OBJECT IDENTIFIER, hwSerialNum OCTET STRING } */
export function readModuleName(der: Buffer): string | undefined {
  const [sequence, ...after] = elements(der) ?? [];
  if (sequence?.tag !== TAG.sequence || after.length > 0) return undefined;
  const [type, serial, ...more] = elements(sequence.content) ?? [];
  if (type?.tag !== TAG.oid || serial?.tag !== TAG.octetString || more.length > 0) return undefined;
  const text = serial.content.toString('latin1');
  return /^[\x20-\x7e]+$/.test(text) ? text : undefined;
}
