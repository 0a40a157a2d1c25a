// The generated parts of docs/reference/errors.md: one for each room's table of errors.
import { ERRORS as consumer } from '../../cloud/consumer/errors.ts';
import { ERRORS as artifacts } from '../../edge-k3s/artifacts/errors.ts';
import { ERRORS as gateway } from '../../edge-k3s/gateway/errors.ts';
import { ERRORS as api } from '../../operator/api/errors.ts';
import { ERRORS as broker } from '../../operator/broker/errors.ts';
import { ERRORS as cli } from '../../operator/cli/errors.ts';
import { ERRORS as crl } from '../../operator/crl/errors.ts';
import { ERRORS as driver } from '../../operator/driver/errors.ts';
import { ERRORS as est } from '../../operator/est/errors.ts';
import { ERRORS as firmware } from '../../operator/firmware/errors.ts';
import { ERRORS as identity } from '../../operator/identity/errors.ts';
import { ERRORS as interventions } from '../../operator/interventions/errors.ts';
import { ERRORS as kube } from '../../operator/kube/errors.ts';
import { ERRORS as limits } from '../../operator/limits/errors.ts';
import { ERRORS as probe } from '../../operator/probe/errors.ts';
import { ERRORS as releases } from '../../operator/releases/errors.ts';
import { ERRORS as runtime } from '../../operator/runtime/errors.ts';
import { ERRORS as segments } from '../../operator/segments/errors.ts';
import { ERRORS as trust } from '../../operator/trust/errors.ts';
import { inMarkdown } from './markdown.ts';

type Row = { title: string; cause: string; cure: string };
type Table = Readonly<Record<string, Row>>;

/** By the name of the room: every operator/<room>/errors.ts, edge-k3s/<program>/errors.ts and cloud/<program>/errors.ts. */
export const ERROR_TABLES: ReadonlyMap<string, Table> = new Map<string, Table>(
  Object.entries({
    api,
    artifacts,
    broker,
    cli,
    consumer,
    crl,
    driver,
    est,
    firmware,
    gateway,
    identity,
    interventions,
    kube,
    limits,
    probe,
    releases,
    runtime,
    segments,
    trust,
  }),
);

/** Parts by marker name: the rooms. A heading for each code, so that it can be linked: errors.md#hr-id-009-csrsubjectmismatch. */
export function errorParts(tables: ReadonlyMap<string, Table>): Map<string, string> {
  return new Map([...tables].map(([room, table]) => [room, Object.entries(table).map(entry).join('\n\n')]));
}

function entry([code, { title, cause, cure }]: [string, Row]): string {
  return `### ${code} ${title}\n\n- **Cause:** ${sentence(cause)}\n- **Cure:** ${sentence(cure)}`;
}

const sentence = (text: string): string => `${inMarkdown(text)}${/[.!?]$/.test(text) ? '' : '.'}`;
