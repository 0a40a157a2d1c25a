// A payload of Sparkplug B 3.0 (§6.4): a time, a sequence number and metrics. Only what becomes a reading is kept: numbers and booleans. Pure.
import { type Field, fieldsOf, Malformed } from './wire.ts';

export type Metric = {
  /** Left out by data messages, which name metrics by their alias. */
  name: string | undefined;
  alias: number | undefined;
  /** §6.4.16; only births have to say it. */
  datatype: number | undefined;
  isHistorical: boolean;
  /** As it stands on the wire: what it means, the datatype says. Undefined: null, or nothing that is a number. */
  value: bigint | number | undefined;
};

export type Payload = { timestampMs: number | undefined; seq: number | undefined; metrics: Metric[] };

/** More than any node has; what a payload of the largest size could name in single bytes is far more. */
const MOST_METRICS = 2_000;
const LONGEST_NAME = 256;

/** `HR-GW-801` when it is none. */
export function readPayload(bytes: Buffer): Payload | 'HR-GW-801' {
  try {
    const payload: Payload = { timestampMs: undefined, seq: undefined, metrics: [] };
    for (const field of fieldsOf(bytes)) {
      if (field.id === 1) payload.timestampMs = countOf(field);
      else if (field.id === 2) payload.metrics.push(metricOf(bytesOf(field)));
      else if (field.id === 3) payload.seq = countOf(field);
      if (payload.metrics.length > MOST_METRICS) return 'HR-GW-801';
    }
    return payload;
  } catch (error) {
    if (error instanceof Malformed) return 'HR-GW-801';
    throw error;
  }
}

function metricOf(bytes: Buffer): Metric {
  const metric: Metric = { name: undefined, alias: undefined, datatype: undefined, isHistorical: false, value: undefined };
  let isNull = false;
  for (const field of fieldsOf(bytes)) {
    switch (field.id) {
      case 1:
        // Some libraries write an empty one where there is none.
        metric.name = nameOf(bytesOf(field)) || undefined;
        break;
      case 2:
        metric.alias = countOf(field);
        break;
      case 4:
        metric.datatype = countOf(field);
        break;
      case 5:
        metric.isHistorical = countOf(field) !== 0;
        break;
      case 7:
        isNull = countOf(field) !== 0;
        break;
      case 10: // int_value, long_value, boolean_value
      case 11:
      case 14:
        metric.value = varintOf(field);
        break;
      case 12:
        metric.value = fixedOf(field, 'fixed32').readFloatLE(0);
        break;
      case 13:
        metric.value = fixedOf(field, 'fixed64').readDoubleLE(0);
        break;
      default: // texts, bytes, data sets and templates are no readings
    }
  }
  return isNull ? { ...metric, value: undefined } : metric;
}

/** What the value means; undefined for what is no number. Negative whole numbers stand as two's complement of 32 or 64 bits, of some libraries of 8 or 16. */
export function numberOf(value: Metric['value'], datatype: number | undefined): number | undefined {
  if (value === undefined) return undefined;
  if (typeof value === 'number') return (datatype === 9 || datatype === 10) && Number.isFinite(value) ? value : undefined;
  switch (datatype) {
    case 1:
      return Number(BigInt.asIntN(8, value));
    case 2:
      return Number(BigInt.asIntN(16, value));
    case 3:
      return Number(BigInt.asIntN(32, value));
    case 4:
      return Number(BigInt.asIntN(64, value));
    case 5:
    case 6:
    case 7:
    case 8:
      return Number(value);
    case 11:
      return value === 0n ? 0 : 1;
    default:
      return undefined;
  }
}

function varintOf(field: Field): bigint {
  if (field.shape !== 'varint') throw new Malformed(`field ${field.id} is no number`);
  return field.value;
}

function countOf(field: Field): number {
  const value = varintOf(field);
  if (value > BigInt(Number.MAX_SAFE_INTEGER)) throw new Malformed(`field ${field.id} is too large`);
  return Number(value);
}

function bytesOf(field: Field): Buffer {
  if (field.shape !== 'bytes') throw new Malformed(`field ${field.id} has no length`);
  return field.value;
}

function fixedOf(field: Field, shape: 'fixed32' | 'fixed64'): Buffer {
  if (field.shape !== shape) throw new Malformed(`field ${field.id} is not ${shape}`);
  return field.value;
}

function nameOf(bytes: Buffer): string {
  if (bytes.length > LONGEST_NAME) throw new Malformed('a name that is too long');
  return bytes.toString('utf8');
}
