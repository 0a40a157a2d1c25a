// What the bench tells the feeder, and what it answers.

export type Order =
  | { do: 'listen'; keyPem: string; certPem: string; caPem: string; topics: string[] }
  /** `perSecond` 0: as fast as they are taken. `subject`: whose CPU is counted. */
  | { do: 'flow'; perSecond: number; warmUpSeconds: number; seconds: number; crossingEveryMs: number; subject: number };

export type Answer =
  | { said: 'listening'; port: number }
  | { said: 'subscribed' }
  | ({ said: 'flowed' } & Flowed)
  | { said: 'failed'; why: string };

export type Flowed = {
  /** In the measured time. */
  acknowledged: number;
  seconds: number;
  subjectCpuSeconds: number;
  feederCpuSeconds: number;
  /** Of all crossings of the limit: from handing the message to the socket until the alert is here. */
  alertsAfterMs: number[];
  crossings: number;
  /** Alerts with the time of a message that no schema takes. */
  wrongAlerts: number;
  malformed: number;
  /** Answers to messages with a reason code of failure. */
  refused: number;
};
