// The devices of a site without an API server: a JSON file, an array of what `KnownDevice` has. Read again when it changes.
import { readFile } from 'node:fs/promises';
import { Ajv2020 } from 'ajv/dist/2020.js';
import { type Static, Type } from 'typebox';
import { LABEL_PATTERN, MAX_WIRE_NAME } from '../../../operator/api/names.ts';
import type { Clock } from '../../../operator/runtime/clock.ts';
import { followFiles } from '../../../operator/runtime/follow-files.ts';
import type { Log } from '../../../operator/runtime/log.ts';
import { Refused } from '../errors.ts';
import type { Devices, KnownDevice } from './devices.ts';

const LABEL = LABEL_PATTERN.slice(1, -1);
const wireName = Type.String({ pattern: `^${LABEL}\\.${LABEL}$`, maxLength: MAX_WIRE_NAME });
const schema = Type.Array(
  Type.Object(
    {
      name: wireName,
      // As of an API server: it stands between spaces in a file of the gateway (egress/residents.ts).
      uid: Type.String({ pattern: '^[0-9A-Za-z-]{1,128}$' }),
      segment: wireName,
      labels: Type.Record(Type.String(), Type.String()),
      lifecycle: Type.Unsafe<KnownDevice['lifecycle']>({ type: 'string', enum: ['Active', 'Quarantined', 'Revoked'] }),
    },
    { additionalProperties: false },
  ),
);

const isList = new Ajv2020().compile<Static<typeof schema>>(schema);

export type DevicesFile = Devices & {
  /** Looks at the file until the signal aborts. */
  run(signal: AbortSignal): Promise<void>;
};

/** Rejects with `Refused` HR-GW-301 when the file does not read at the start; later the last good one stays in force. */
export async function openDevicesFile(o: { file: string; clock: Clock; log: Log; onChange(): void }): Promise<DevicesFile> {
  const first = await load(o.file);
  let byName = first.byName;
  const followed = {
    read: () => load(o.file),
    isSame: (one: Loaded, other: Loaded) => one.text === other.text,
    onNew(next: Loaded): void {
      byName = next.byName;
      o.onChange();
      o.log.info({ devices: byName.size }, 'other devices are known');
    },
    onTrouble(error: unknown): void {
      if (!(error instanceof Refused)) throw error;
      o.log.warn({ code: error.code, problem: error.message }, 'the file of devices does not read; those before stay known');
    },
  };
  return {
    isSynced: () => true,
    get: (name) => byName.get(name),
    all: () => byName.values(),
    run: (signal) => followFiles(first, followed, o.clock, signal),
  };
}

type Loaded = { text: string; byName: ReadonlyMap<string, KnownDevice> };

async function load(file: string): Promise<Loaded> {
  const text = await readFile(file, 'utf8').catch((error: unknown) => {
    throw new Refused('HR-GW-301', error, `${file} cannot be read`);
  });
  return { text, byName: readDevices(text) };
}

/** Throws `Refused` HR-GW-301. */
export function readDevices(text: string): ReadonlyMap<string, KnownDevice> {
  let value: unknown;
  try {
    value = JSON.parse(text);
  } catch (error) {
    throw new Refused('HR-GW-301', error, 'it is no JSON');
  }
  if (!isList(value)) {
    const [first] = isList.errors ?? [];
    throw new Refused('HR-GW-301', undefined, `${first?.instancePath ?? ''} ${first?.message ?? ''}`.trim());
  }
  const byName = new Map(value.map((one) => [one.name, one]));
  if (byName.size < value.length) throw new Refused('HR-GW-301', undefined, 'a name is in it twice');
  const stranger = value.find(({ name, segment }) => siteOf(name) !== siteOf(segment));
  if (stranger !== undefined) throw new Refused('HR-GW-301', undefined, `${stranger.name} is in a segment of another site`);
  return byName;
}

const siteOf = (wire: string): string => wire.slice(wire.indexOf('.') + 1);
