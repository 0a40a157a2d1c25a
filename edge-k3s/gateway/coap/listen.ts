// CoAP devices put together with the pipeline: what a device posts is a message on its topic of telemetry, as if the broker had brought it.
import type { Clock } from '../../../operator/runtime/clock.ts';
import type { Log } from '../../../operator/runtime/log.ts';
import { readTlsFiles, type TlsPaths, watchTlsFiles } from '../../artifacts/tls-files.ts';
import type { GatewayCode } from '../errors.ts';
import type { Intake } from '../ingest/intake.ts';
import type { Devices } from '../site/devices.ts';
import type { Verdict } from './connection.ts';
import { createCoapServer } from './server.ts';
import { verdictOf } from './verdict.ts';

export type CoapPlace = TlsPaths & { host: string; port: number };

export type CoapOptions = {
  place: CoapPlace;
  intake: Pick<Intake, 'offer'>;
  devices: Pick<Devices, 'get'>;
  clock: Clock;
  log: Log;
};

/** A policy may allow less; what is larger than this has no place in one message (RFC 7959 is not spoken). */
const MOST_BYTES = 65_536;

/** Until the signal aborts. Rejects when the files do not read at the start. */
export async function serveCoap({ place, intake, devices, clock, log }: CoapOptions, signal: AbortSignal): Promise<void> {
  const files = await readTlsFiles(place);
  const settle = (resolve: (verdict: Verdict) => void, refused?: GatewayCode): void => resolve(verdictOf(refused));
  const server = createCoapServer({
    ...{ host: place.host, port: place.port, files, maximumBytes: MOST_BYTES, clock, log },
    async accept(device, stream, payload) {
      const known = devices.get(device);
      // The certificate is good, and names no device of this site any more.
      if (known === undefined) return verdictOf('HR-GW-303');
      return await new Promise((resolve) => intake.offer(`dt/${known.segment}/${device}/${stream}`, payload, resolve, settle));
    },
  });
  const { port } = await server.listen();
  log.info({ port }, 'CoAP devices are listened to');
  await watchTlsFiles(place, files, (next) => server.setFiles(next), { clock, log, signal });
  await server.close();
}
