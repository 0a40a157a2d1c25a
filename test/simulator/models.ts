// The hardware models of the smart-office sample as far as the network sees them: what each tells, on which topic, and how a person would read it.
import { readings } from './office.ts';

export type Telling = { topic: string; m: Record<string, number | string>; retain: boolean; words: string };
export type Teller = { model: string; segment: string; device: string; namespace: string; seed: number };

type Room = { celsius: number; persons: number; co2: number; humidity: number };
type Model = { stream: string; retain?: true; m: (room: Room) => Telling['m']; words: (room: Room) => string };

const MODELS: Record<string, Model> = {
  'tmp-2': {
    stream: 'temperature',
    m: ({ celsius, humidity }) => ({ celsius, humidity }),
    words: ({ celsius, humidity }) => `${celsius} °C, ${humidity} % humidity`,
  },
  'air-1': { stream: 'air', m: ({ co2 }) => ({ co2 }), words: ({ co2 }) => `${co2} ppm CO2` },
  'pir-4': { stream: 'occupancy', m: ({ persons }) => ({ persons }), words: ({ persons }) => `${persons} present` },
  'door-7': {
    stream: 'state',
    retain: true,
    m: ({ persons }) => ({ room: persons > 0 ? 'occupied' : 'free' }),
    words: ({ persons }) => (persons > 0 ? 'room occupied' : 'room free'),
  },
  'ahu-9': {
    stream: 'airflow',
    m: ({ persons }) => ({ cubicMetresPerHour: flow(persons) }),
    words: ({ persons }) => `${flow(persons)} m³/h`,
  },
  'edge-gateway': {
    stream: 'climate',
    m: ({ celsius, co2 }) => ({ meanCelsius: celsius, maxCo2: co2 }),
    words: ({ celsius, co2 }) => `mean ${celsius} °C, max ${co2} ppm`,
  },
};

/** What a device tells in the `tick`-th interval. Gateways tell aggregates of their site; a model that is not in the sample tells temperatures. */
export function tellingOf(teller: Teller, tick: number): Telling {
  const model = MODELS[teller.model] ?? (MODELS['tmp-2'] as Model);
  const room = roomOf(teller.seed, tick);
  const wire = `${teller.device}.${teller.namespace}`;
  const topic =
    teller.model === 'edge-gateway'
      ? `agg/${teller.namespace}/${model.stream}`
      : `dt/${teller.segment}.${teller.namespace}/${wire}/${model.stream}`;
  return { topic, m: model.m(room), retain: model.retain ?? false, words: model.words(room) };
}

function roomOf(seed: number, tick: number): Room {
  return Object.assign({}, ...readings(seed, tick).map(({ m }) => m)) as Room;
}

/** 30 m³/h a person (EN 16798-1, category II, rounded), and a trickle for an empty room. */
const flow = (persons: number): number => 40 + 30 * persons;
