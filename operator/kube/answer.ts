// From an HTTP answer that is not 2xx, or from no answer at all, to a KubeError.
import { STATUS_CODES } from 'node:http';
import { KubeError } from './errors.ts';

type Status = { kind?: unknown; message?: unknown; reason?: unknown; code?: unknown; details?: { retryAfterSeconds?: unknown } };

/** `body` is quoted only when it is a Kubernetes Status: whatever else stands there comes from a stranger in between. */
export function errorFromAnswer(status: number, retryAfter: string | undefined, body: string, call: string): KubeError {
  const parsed = parseStatus(body);
  const title = STATUS_CODES[status] ?? 'unknown status';
  return new KubeError({
    status,
    reason: typeof parsed?.reason === 'string' && parsed.reason !== '' ? parsed.reason : title.replaceAll(' ', ''),
    message: typeof parsed?.message === 'string' && parsed.message !== '' ? parsed.message : `${call}: ${status} ${title}`,
    retryAfterMs: retryAfterMs(retryAfter, parsed),
    details: parsed?.details,
  });
}

/** An ERROR event of a watch carries a Status too. */
export function errorFromStatus(object: unknown, call: string): KubeError {
  const status = (typeof object === 'object' && object !== null ? object : {}) as Status;
  return errorFromAnswer(
    typeof status.code === 'number' ? status.code : 500,
    undefined,
    JSON.stringify({ ...status, kind: 'Status' }),
    call,
  );
}

/** Connection refused or reset, DNS, TLS: the message of the lowest cause says which. */
export function errorFromNetwork(error: unknown, call: string): KubeError {
  let lowest: unknown = error;
  while (lowest instanceof Error && lowest.cause instanceof Error) lowest = lowest.cause;
  const code = lowest instanceof Error && 'code' in lowest && typeof lowest.code === 'string' ? `${lowest.code} ` : '';
  const text =
    lowest instanceof AggregateError ? lowest.errors.map(String).join('; ') : lowest instanceof Error ? lowest.message : String(lowest);
  return new KubeError({ status: 0, reason: 'NetworkError', message: `${call}: ${code}${text}`, cause: error });
}

export function timeoutError(call: string, afterMs: number): KubeError {
  return new KubeError({ status: 0, reason: 'Timeout', message: `${call}: no answer within ${afterMs / 1000} s` });
}

function parseStatus(body: string): Status | undefined {
  try {
    const parsed: unknown = JSON.parse(body);
    const status = typeof parsed === 'object' && parsed !== null ? (parsed as Status) : undefined;
    return status?.kind === 'Status' ? status : undefined;
  } catch {
    return undefined;
  }
}

function retryAfterMs(header: string | undefined, status: Status | undefined): number | undefined {
  const fromHeader = header === undefined ? Number.NaN : Number(header);
  if (Number.isFinite(fromHeader) && fromHeader >= 0) return fromHeader * 1000;
  const fromBody = status?.details?.retryAfterSeconds;
  return typeof fromBody === 'number' && fromBody > 0 ? fromBody * 1000 : undefined;
}
