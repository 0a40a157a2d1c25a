// What an alert on CRLs needs. The label is an issuer, of which there are few; never a device.
import { Counter, Gauge, type Registry } from 'prom-client';
import type { Clock } from '../runtime/clock.ts';
import type { PublishedList, Publisher } from './publisher.ts';
import type { Report } from './report.ts';

export type CrlMetrics = { published(issuer: string, tookMs: number): void; requested(status: number): void };

export function createCrlMetrics(registry: Registry, read: { publisher: () => Publisher; report: () => Report; clock: Clock }): CrlMetrics {
  const registers = [registry];
  const perList = (name: string, help: string, measure: (list: PublishedList) => number): void => {
    new Gauge({
      name,
      help,
      labelNames: ['issuer'],
      registers,
      collect() {
        this.reset();
        for (const [issuer, list] of read.publisher().lists()) this.set({ issuer }, measure(list));
      },
    });
  };
  const now = (): number => read.clock.now();
  perList('fleet_crl_age_seconds', 'Seconds since the CRL of an issuer was made', (list) => (now() - list.issuedAtMs) / 1000);
  perList('fleet_crl_next_update_seconds', 'Seconds until the CRL of an issuer expires', (list) => (list.nextUpdateMs - now()) / 1000);
  perList('fleet_crl_entries', 'Revoked certificates on the CRL of an issuer', (list) => list.entries);
  perList('fleet_crl_bytes', 'Size of the CRL of an issuer in DER', (list) => list.der.length);
  new Gauge({
    name: 'fleet_crl_unavailable',
    help: 'Issuers without a CRL, or without the one they should have, by reason (docs/reference/errors.md, HR-CRL)',
    labelNames: ['issuer', 'reason'],
    registers,
    collect() {
      this.reset();
      for (const [issuer, reason] of read.report().all()) this.set({ issuer, reason }, 1);
    },
  });
  const published = new Counter({ name: 'fleet_crl_published_total', help: 'CRLs made', labelNames: ['issuer'], registers });
  const took = new Gauge({ name: 'fleet_crl_sign_seconds', help: 'How long the last CRL took to make', labelNames: ['issuer'], registers });
  const requests = new Counter({
    name: 'fleet_crl_requests_total',
    help: 'Requests for CRLs by HTTP status',
    labelNames: ['status'],
    registers,
  });
  return {
    published(issuer, tookMs) {
      published.inc({ issuer });
      took.set({ issuer }, tookMs / 1000);
    },
    requested: (status) => requests.inc({ status: String(status) }),
  };
}
